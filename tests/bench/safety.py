"""What safety costs: the guard of a change of access, and the journal of an apply."""

import statistics

# Appends lines as the runner does, and looks twice, as it does before and after.
COST = r"""
cd /root; R=/root; : >journal
journal() { printf '%s\n' "$*" >>"$R/journal"; }
b=$(date +%s%N); i=0
while [ $i -lt 1000 ]; do journal "B $i"; i=$((i+1)); done
e=$(date +%s%N); echo $(( (e - b) / 1000 ))
b=$(date +%s%N); sh /root/after >/dev/null 2>&1 </dev/null; sh /root/after >/dev/null 2>&1 </dev/null
e=$(date +%s%N); echo $(( e - b ))
"""


def guard(bench, tools, route, work, runs, report):
    """The same step with and without a guard, and sshd's own file, in turn."""

    def playbook(name, path, more):
        def write(number):
            text = f'[[step]]\nfile = {{ path = "{path}", content = "# {number}\\n" }}\n{more}\n'
            file = work / f"{name}.toml"
            file.write_text(f'hosts = ["all"]\n{text}')
            return file

        return write

    kinds = {
        "plain": playbook("plain", "/etc/bench-plain.conf", ""),
        "guarded": playbook("guarded", "/etc/bench-guarded.conf", "guard = true"),
        "sshd": playbook("sshd", "/etc/ssh/sshd_config.d/00-bench.conf", 'reload = ["ssh.service"]'),
    }
    took, connections = {name: [] for name in kinds}, {}
    for number in range(runs):
        for name, write in kinds.items():
            before = route.hosts[0].sessions()[0]
            took[name].append(bench.timed(route.stockade(tools, "apply", write(number), "--yes"))[0])
            connections[name] = route.hosts[0].sessions()[0] - before
        bench.say(f"  round {number + 1}: " + ", ".join(f"{name} {t[-1]:.2f} s" for name, t in took.items()))
    medians = {name: statistics.median(times) for name, times in took.items()}
    rows = [["apply of one file at 50 ms", "median", "connections"]]
    rows += [[name, f"{medians[name]:.2f} s", str(connections[name])] for name in kinds]
    report.table("The guard", rows)
    for name in ("guarded", "sshd"):
        report.target(f"{name} step: seconds added", medians[name] - medians["plain"], "≤ 1.5", lambda x: x <= 1.5)
        more = connections[name] - connections["plain"]
        report.target(f"{name} step: connections added", more, "≤ 1", lambda x: x <= 1)


def journal(bench, tools, lab, work, report):
    """The job on a bare host, and then, on that host, what its journal and its undo store cost."""
    [host] = lab.up("bench-journal")
    route = bench.Route(work, lab, [host], [host.port], "journal")
    keep = 'command = { run = "cp /var/lib/stockade/runs/*/after /root/after", creates = "/root/after" }'
    file = work / "journal.toml"
    file.write_text(f'hosts = ["all"]\n[[step]]\nuse = "{bench.JOB / "playbook.toml"}"\n[[step]]\n{keep}\n')
    seconds, _ = bench.timed(route.stockade(tools, "apply", file, "--yes"))
    lines = int(host.witness("sh", "-c", "cat /var/lib/stockade/runs/*/journal | wc -l"))
    costs = [host.witness("sh", "-c", COST).split() for _ in range(5)]
    per_line, looks = (statistics.median(int(cost[n]) for cost in costs) / 1e9 for n in (0, 1))
    report.table(
        "The journal of the first apply of the job",
        [
            ["", "measured"],
            ["apply", f"{seconds:.2f} s"],
            [f"{lines} lines", f"{lines * per_line * 1000:.1f} ms"],
            ["undo store: a look before, a look after", f"{looks * 1000:.0f} ms"],
        ],
    )
    cost = (lines * per_line + looks) / seconds * 100
    report.target("journal and undo store / apply", cost, "< 5 %", lambda x: x < 5, " %")
    lab.down([host])
