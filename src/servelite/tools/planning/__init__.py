"""What a function would cost a month, on AWS Lambda and on servers: measured here, simulated, priced."""
