"""The audit of all hardening controls: its time against the plan of the same
playbook, and its memory over many hosts."""

import json
import statistics

PLAYBOOK = 'name = "Hardened"\nhosts = ["all"]\n\n[[step]]\nuse = "harden/server"\n'


def audits(bench, tools, lab, work, runs, report):
    """A plain host, audited and planned for at the usual round trip."""
    [host] = lab.up("bench-audit")
    playbook = work / "hardened.toml"
    playbook.write_text(PLAYBOOK)
    out = work / "audit.json"
    words = ("--format", "json", "--out", out)
    near = bench.Route(work, lab, [host], [host.port], "audit-near")
    # 2: there are findings.
    bench.timed(near.stockade(tools, "audit", playbook, *words), codes=(0, 2))
    controls = len(json.loads(out.read_text())["controls"])
    took = {}
    with bench.delayed([host]) as ports:
        far = bench.Route(work, lab, [host], ports, "audit-far")
        contestants = {
            "audit": far.stockade(tools, "audit", playbook, *words),
            "plan": far.stockade(tools, "plan", playbook),
        }
        for _ in range(runs):
            for name, command in contestants.items():
                took.setdefault(name, []).append(bench.timed(command, codes=(0, 2))[0])
    audit, plan = statistics.median(took["audit"]), statistics.median(took["plan"])
    rows = [["", "time"], [f"audit of {controls} controls", f"{audit:.2f} s"], ["plan", f"{plan:.2f} s"]]
    report.table(f"Audit of a plain host at {bench.RTT_MS} ms", rows)
    report.target("audit of all controls", audit, "≤ 3 s", lambda x: x <= 3, " s")
    report.target("audit / plan of the same playbook", audit / plan, "≤ 1.5", lambda x: x <= 1.5)
    memory(bench, tools, near, host, work, report)
    lab.down([host])


def memory(bench, tools, near, host, work, report):
    """One host under 20 and under 200 names: what more names add is the report."""
    peaks, sizes = {}, {}
    head, _, entry = near.inventory.read_text().partition(f"[hosts.{host.name}]\n")
    for count in (20, 200):
        inventory = work / f"audit-{count}.toml"
        inventory.write_text(head + "".join(f"[hosts.name{number}]\n{entry}\n" for number in range(count)))
        out = work / f"audit-{count}.json"
        command = [tools.stockade, "audit", "harden/ssh", "-i", inventory, "--forks", "8", "--format", "json", "--out", out]
        peaks[count] = bench.memory_peak(command, codes=(0, 2))
        sizes[count] = out.stat().st_size / (1 << 20)
    rows = [["hosts", "peak", "size of the report"]]
    rows += [[str(count), f"{peaks[count]:.1f} MiB", f"{sizes[count]:.1f} MiB"] for count in peaks]
    report.table("Memory of audits of many hosts, harden/ssh, 8 at a time", rows)
    added = (peaks[200] - peaks[20]) / (sizes[200] - sizes[20])
    report.target("memory added per MiB of report", added, "≤ 6", lambda x: x <= 6)
