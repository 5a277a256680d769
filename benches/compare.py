"""Runs programs alternately on the same cores and writes a Markdown table of their rates and ratios.

usage: python3 compare.py [--cores 0] [--runs 5] [--cpu-time] [--out FILE.md] [--title TEXT] 'label=command' 'label=command' ...
Each command prints `images_per_s: NUMBER`, or JSON with that key, and may print a line `versions: ...`. Ratios are the first
program's median divided by each other's. With --cpu-time each also prints `cores_busy`, and rates are per second of processor time,
for a machine with other load. For the loaders:

  python3 compare.py 'simsiam=simsiam bench --shards SHARDS --workers 1 --json' \\
      'torchvision on PIL=python3 peers/loaders.py torchvision FOLDER' ...
"""
import argparse
import os
import platform
import re
import statistics
import subprocess


def processor():
    with open("/proc/cpuinfo") as cpuinfo:
        fields = dict(re.split(r"\s*:\s*", line.strip(), maxsplit=1) for line in cpuinfo if ":" in line)
    vectors = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in fields.get("flags", "")]
    return f"{fields.get('model name', platform.machine())} ({', '.join(vectors)}), {os.cpu_count()} virtual cores"


def measure(command, cores, cpu_time):
    done = subprocess.run(["taskset", "-c", cores, "sh", "-c", command], capture_output=True, text=True)
    rate = re.search(r'images_per_s"?: *([\d.]+)', done.stdout)
    if not rate:
        raise SystemExit(f"{command}: printed no images_per_s\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")
    versions = re.search(r"^versions: (.*)$", done.stdout, re.M)
    busy = float(re.search(r'cores_busy"?: *([\d.]+)', done.stdout)[1]) if cpu_time else 1.0
    return float(rate[1]) / busy, versions[1] if versions else ""


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--cores", default="0")
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--cpu-time", action="store_true")
    ap.add_argument("--out")
    ap.add_argument("--title", default="Images per second")
    ap.add_argument("commands", nargs="+")
    args = ap.parse_args()
    commands = dict(command.split("=", 1) for command in args.commands)
    rates, versions = {label: [] for label in commands}, {}
    for run in range(args.runs):
        for label, command in commands.items():
            rate, versions[label] = measure(command, args.cores, args.cpu_time)
            rates[label].append(rate)
            print(f"run {run + 1}, {label}: {rate:.1f}", flush=True)
    first = statistics.median(next(iter(rates.values())))
    table = [
        f"### {args.title}", "",
        f"{processor()}; cores {args.cores}; {args.runs} alternating runs each; medians (lowest to highest).", "",
        f"| | images/s{' of processor time' if args.cpu_time else ''} | speed-up of the first | versions |", "|---|---|---|---|"]
    for label, seen in rates.items():
        median = statistics.median(seen)
        ratio = "" if len(table) == 6 else f"{first / median:.2f} x"
        table.append(f"| {label} | {median:.0f} ({min(seen):.0f} to {max(seen):.0f}) | {ratio} | {versions[label]} |")
    table += ["", *(f"    {label}: {command}" for label, command in commands.items()), ""]
    print("\n".join(table))
    if args.out:
        with open(args.out, "a") as out:
            out.write("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
