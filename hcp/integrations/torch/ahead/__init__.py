"""Planning ahead: whether training fits a device, told without the device, and without the memory that it takes."""
