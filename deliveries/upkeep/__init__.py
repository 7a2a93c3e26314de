"""What happens periodically: partitions made, old history dropped."""
