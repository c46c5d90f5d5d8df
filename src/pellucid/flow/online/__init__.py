"""The live model: it answers, hears, believes, learns and unlearns; and what people are asked about it."""
