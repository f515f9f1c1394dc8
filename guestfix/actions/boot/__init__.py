"""Actions for boot loaders, their menus and the kernel's arguments."""
