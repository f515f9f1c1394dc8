"""What is learned of boot loaders, their menus and the kernel's arguments."""
