"""What happens to models in production: gate, promotion, shadow, retraining, drift, history, and how it goes."""
