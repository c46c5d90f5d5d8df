-- The roles and databases of compose.yaml. Runs before every start: what is there stays, passwords become .env's.
\getenv pellucid_password DATABASE_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
\getenv grafana_password GRAFANA_DATABASE_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['pellucid', 'mlflow', 'grafana']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE pellucid PASSWORD :'pellucid_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';
ALTER ROLE grafana PASSWORD :'grafana_password';

SELECT format('CREATE DATABASE %I OWNER %I', name, name) FROM unnest(ARRAY['pellucid', 'mlflow']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
REVOKE ALL ON DATABASE pellucid, mlflow FROM PUBLIC;

-- Pellucid mirrors its models into MLflow's tables as the role mlflow, so that both may use them, and MLflow's server,
-- which asks nobody for a password, sees nothing of Pellucid's own.
GRANT mlflow TO pellucid;
ALTER ROLE pellucid IN DATABASE mlflow SET role TO 'mlflow';

-- Grafana reads, whoever draws the charts; a chart that takes too long is given up.
GRANT CONNECT ON DATABASE pellucid TO grafana;
ALTER ROLE grafana SET default_transaction_read_only TO on;
ALTER ROLE grafana SET statement_timeout TO '30s';
\connect pellucid
ALTER DEFAULT PRIVILEGES FOR ROLE pellucid IN SCHEMA public GRANT SELECT ON TABLES TO grafana;

-- What people log in with is nothing for charts. Pellucid's migrations make these tables later than this file runs, so
-- what is granted on them is taken back within the very command that makes, renames or grants.
CREATE OR REPLACE FUNCTION withhold_from_grafana() RETURNS event_trigger LANGUAGE plpgsql SET search_path TO pg_catalog
AS $$
DECLARE
  made oid;
BEGIN
  FOR made IN
    SELECT t.oid FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace
    WHERE s.nspname = 'public' AND t.relkind IN ('r', 'p') AND t.relname IN ('token', 'session')
      AND has_any_column_privilege('grafana', t.oid, 'SELECT')
  LOOP
    EXECUTE format('REVOKE ALL ON TABLE %s FROM grafana', made::regclass);
  END LOOP;
END
$$;
DROP EVENT TRIGGER IF EXISTS withhold_from_grafana;
CREATE EVENT TRIGGER withhold_from_grafana ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'GRANT')
  EXECUTE FUNCTION withhold_from_grafana();
GRANT SELECT ON ALL TABLES IN SCHEMA public TO grafana;
