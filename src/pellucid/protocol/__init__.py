"""The Monday/Tuesday protocol: two days, wrong labels on the second, and who learns best from both."""
