# Prints what is in homes: of a directory only that it is there, of all else its
# size, time and target too. What is too long to be a new home's is cut off.
find "$@" -xdev -mindepth 1 \( -type d -printf 'd - - %p\t\n' -o -printf '%y %s %T@ %p\t%l\n' \) 2>/dev/null | head -c 1000000
