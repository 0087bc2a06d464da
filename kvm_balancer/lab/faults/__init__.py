"""What can go wrong on the way, each as a cause that is begun and healed."""
