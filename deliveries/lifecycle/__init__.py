"""What is done with deliveries by hand: redeliver, cancel, wait for, switch off."""
