#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write seeds for the fuzzer of the ONNX loader.

Usage: tests/fuzz/seeds.py DIRECTORY [MODEL.onnx...]

Seeds are the models named, and those of libonnx-testdata: each as it is, and with all
inputs but the first as initializers, as most operators want shapes and axes. Messages
of Protocol Buffers are merged by joining their bytes.
"""
import glob
import os
import sys

DATA = os.environ.get('WEFT_ONNX_TESTDATA', '/usr/share/libonnx-testdata/data')
MOST_BYTES = 200000


def field(number, content):
    """A length-delimited field."""
    head, length = bytes([number << 3 | 2]), len(content)
    while True:
        head += bytes([length & 127 | (128 if length > 127 else 0)])
        length >>= 7
        if not length:
            return head + content


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def main():
    directory = sys.argv[1]
    os.makedirs(directory, exist_ok=True)
    models = [model for model in sys.argv[2:] if os.path.isfile(model)] + sorted(glob.glob(DATA + '/*/test_*/model.onnx'))
    for number, model in enumerate(models):
        name = '%04d-%s' % (number, os.path.basename(os.path.dirname(model)))
        seeds = {name: read(model)}
        inputs = sorted(glob.glob(os.path.dirname(model) + '/test_data_set_0/input_*.pb'))
        if len(inputs) > 1:
            graph = b''.join(field(5, read(path)) for path in inputs if not path.endswith('input_0.pb'))
            seeds[name + '-bound'] = seeds[name] + field(7, graph)
        for name, content in seeds.items():
            if len(content) <= MOST_BYTES:
                with open(os.path.join(directory, name), 'wb') as file:
                    file.write(content)


if __name__ == '__main__':
    main()
