"""What is kept: pictures with their recipe inside."""
