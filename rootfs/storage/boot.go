package storage

// BootOptions are the options of mount(2) for the boot partition. By utf8 the kernel gives
// long names, which FAT has in UTF-16, in UTF-8: a configuration names its files so.
const BootOptions = "utf8"
