#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Weft's training step beside PyTorch's: processes of both by turns.

    compare.py STEP_PROGRAM MODELS_DIR [ROUNDS] [MODEL...]

Each round times both, one after the other, so that what else the machine does
disturbs both; the figures are the least of the rounds, the ratio Weft's over
PyTorch's, less being better.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {
    # model: batch, optimizer, steps of a process
    "lenet": (64, "adam", 100),
    "resnet18_cifar_w16": (32, "adam", 20),
}


def run(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def least(results, key):
    return min(result[key] for result in results)


def compare(program, path, name, threads, rounds):
    batch, optimizer, steps = CASES[name]
    common = [str(batch), optimizer, str(threads), str(steps)]
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(run([program, path, *common], threads))
        theirs.append(run([sys.executable, os.path.join(HERE, "step.py"), name, *common], threads))
    print(f"{name}, batch {batch}, {optimizer}, {threads} thread{'s' if threads > 1 else ''}")
    for key, unit, scale in (("cpu_ms", "ms of CPU a step", 1), ("wall_ms", "ms a step", 1), ("peak_rss_kib", "MiB peak RSS", 1024)):
        a, b = least(ours, key) / scale, least(theirs, key) / scale
        print(f"  {unit:18}  weft {a:9.3f}  torch {b:9.3f}  ratio {a / b:6.3f}", flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, models = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    for name in sys.argv[4:] or CASES:
        path = os.path.join(models, name + ".onnx")
        if not os.path.exists(path):
            print(f"{path}: absent, skipped (WEFT_SHARED names the folder that has models/)")
            continue
        for threads in (1, 2):
            if threads <= len(os.sched_getaffinity(0)):
                compare(program, path, name, threads, rounds)


main()
