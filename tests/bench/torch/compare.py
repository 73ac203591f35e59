#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Weft beside PyTorch: time, memory and gradients of the same networks.

    compare.py BUILD [--rounds N] [--cache DIR] [--gradients | --infer] [NETWORK...]

BUILD is Weft's build directory.  Networks are those of models.py, exported to
DIR once (default: BUILD/torch-models).  Each round times both, one process after
the other, so that what else the machine does disturbs both; figures are the
least of the rounds, the ratio Weft's over PyTorch's, less being better.
--gradients prints the relative error of each network's whole gradient; one beyond
1e-4, and beyond twice what PyTorch's own single precision is off, ends in status 1.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {
    # network: batch, optimizer, warm-up, steps of a process
    "lenet": (64, "adam", 5, 100),
    "resnet18_cifar_w16": (32, "adam", 5, 20),
    "resnet18_cifar": (32, "sgd", 2, 5),
    "resnet18": (8, "sgd", 2, 5),
    "mobilenetv2": (8, "sgd", 2, 5),
    "bert": (4, "sgd", 1, 2),
    "vgg16": (4, "sgd", 1, 2),
}
TOLERANCE = 1e-4


def run(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def exported(name, cache):
    path = os.path.join(cache, name + ".onnx")
    if not os.path.exists(path):
        os.makedirs(cache, exist_ok=True)
        command = [sys.executable, "-W", "ignore", os.path.join(HERE, "models.py"), cache, name]
        if subprocess.run(command).returncode:
            sys.exit(f"{name}: PyTorch could not export it")
    return path


def least(results, key):
    return min(result[key] for result in results)


def compare(program, path, name, threads, rounds, infer):
    batch, optimizer, warm_up, steps = CASES[name]
    if infer:
        batch, optimizer, steps = 1, "infer", 4 * steps
    common = [str(batch), optimizer, str(threads), str(steps), str(warm_up)]
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(run([program, path, *common], threads))
        theirs.append(run([sys.executable, os.path.join(HERE, "step.py"), name, *common], threads))
    print(f"{name}, batch {batch}, {optimizer}, {threads} thread{'s' if threads > 1 else ''}")
    for key, unit, scale in (
        ("cpu_ms", "ms of CPU a step", 1),
        ("wall_ms", "ms a step", 1),
        ("peak_rss_kib", "MiB peak RSS", 1024),
    ):
        a, b = least(ours, key) / scale, least(theirs, key) / scale
        print(f"  {unit:18}  weft {a:9.3f}  torch {b:9.3f}  ratio {a / b:6.3f}", flush=True)
    if threads == 1:
        share = max(result["products_of_peak"] for result in ours)
        print(f"  convolutions and matrix products: {100 * share:.0f} % of the FMA peak over the whole step", flush=True)


def read_gradients(path):
    import numpy

    found = {}
    with open(path, "rb") as file:
        while line := file.readline():
            name, size = line.decode().rsplit(" ", 1)
            found[name] = numpy.frombuffer(file.read(int(size)), numpy.float32)
    return found


def torch_gradients(model, x, label):
    import torch

    model.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(model(x), label).backward()
    return {name: p.grad.numpy().astype("float64") for name, p in model.named_parameters()}


def distance(a, b):
    """Norm of the difference over the norm of @b, all parameters as one vector."""
    squares = sum(float((value**2).sum()) for value in b.values())
    return (sum(float(((a[name] - b[name]) ** 2).sum()) for name in b) / squares) ** 0.5


def gradients(program, path, name):
    import numpy
    import torch

    import models

    model = models.build(name)
    x, label = models.draw(model, CASES[name][0])
    theirs = torch_gradients(model, x, label)
    with tempfile.TemporaryDirectory() as work:
        files = [os.path.join(work, what) for what in ("input", "label", "gradients")]
        x.numpy().tofile(files[0])
        label.numpy().astype(numpy.int32).tofile(files[1])
        command = [program, path, str(len(x)), "1", *files]
        if subprocess.run(command).returncode:
            sys.exit(f"{' '.join(command)}: failed")
        found = read_gradients(files[2])
    ours = {parameter: find(found, parameter, value) for parameter, value in theirs.items()}
    error = distance(ours, theirs)
    print(f"{name:20}  gradient off PyTorch's by {error:.1e}", end="", flush=True)
    if error <= TOLERANCE:
        print()
        return True
    # Where ReLUs near zero decide, PyTorch's own single precision is off by more: then that is the measure.
    exact = torch_gradients(models.build(name).double(), x.double() if x.is_floating_point() else x, label)
    own = distance(theirs, exact)
    for factor in (1 - 2**-23, 1 + 2**-23) if x.is_floating_point() else ():
        own = max(own, distance(torch_gradients(models.build(name), x * factor, label), exact))
    error = distance(ours, exact)
    print(f"; off double precision by {error:.1e}, PyTorch's single precision (inputs +- 1 ulp) by {own:.1e}", flush=True)
    return error <= 2 * own


def find(ours, parameter, theirs):
    """The gradient of @parameter among @ours: under its name, or of a nameless turned matrix with the closest values."""
    import numpy

    if parameter in ours:
        return ours[parameter].reshape(theirs.shape).astype(numpy.float64)
    turned = [
        g.reshape(theirs.shape[::-1]).T.astype(numpy.float64)
        for name, g in ours.items()
        if name.startswith("onnx::") and theirs.ndim == 2 and g.size == theirs.size
    ]
    if not turned:
        sys.exit(f"no gradient of {parameter}")
    return min(turned, key=lambda g: float(((g - theirs) ** 2).sum()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache")
    parser.add_argument("--gradients", action="store_true")
    parser.add_argument("--infer", action="store_true")
    parser.add_argument("--threads", type=int, action="append")
    options = parser.parse_intermixed_args()
    cache = options.cache or os.path.join(options.build, "torch-models")
    programs = os.path.join(options.build, "tests/bench/torch")
    good = True
    for name in options.networks or CASES:
        if name not in CASES:
            sys.exit(f"{name}: expected one of {', '.join(CASES)}")
        path = exported(name, cache)
        if options.gradients:
            good = gradients(os.path.join(programs, "bench-gradients"), path, name) and good
            continue
        for threads in options.threads or (1, 2):
            if threads <= len(os.sched_getaffinity(0)):
                compare(os.path.join(programs, "bench-step"), path, name, threads, options.rounds, options.infer)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
