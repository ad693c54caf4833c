"""What things are: errors, functions, calls, money, frames and ports; pure, nothing here does I/O."""
