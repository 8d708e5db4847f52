show() { runuser -u postgres -- psql -tAc "$1"; }
[ "$(show 'SHOW max_connections')" = 60 ]
[ "$(show 'SHOW shared_buffers')" = 64MB ]
[ "$(show "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app'")" = app ]
[ "$(show "SELECT line_number < (SELECT min(line_number) FROM pg_hba_file_rules WHERE 'all' = ANY (database) AND type = 'host') FROM pg_hba_file_rules WHERE 'app' = ANY (database)")" = t ]
[ "$(stat -c '%a %U' /etc/postgresql/15/main/postgresql.conf)" = "644 postgres" ]
