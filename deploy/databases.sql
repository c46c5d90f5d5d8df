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

-- Grafana reads, whoever draws the charts.
GRANT CONNECT ON DATABASE pellucid TO grafana;
ALTER ROLE grafana SET default_transaction_read_only TO on;
\connect pellucid
ALTER DEFAULT PRIVILEGES FOR ROLE pellucid IN SCHEMA public GRANT SELECT ON TABLES TO grafana;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO grafana;
