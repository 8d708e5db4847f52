q_mounts() { awk '{ for (i = 7; i < NF && $i != "-"; i++); print $5, $6 "," $(i + 3), $(i + 1), $3, $4, $(i + 2) }' /proc/self/mountinfo; }
