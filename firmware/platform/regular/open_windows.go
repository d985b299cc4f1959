package regular

const nonBlock = 0 // a pipe has no place among the files of Windows
