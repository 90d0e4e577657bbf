"""Prints every file that the Python programs named as arguments need of Python's own: the modules
that they import, compiled or not, and the shared libraries that these have mapped."""
import ast
import importlib
import sys

# Names of hosts are encoded with it, on first use.
names = {"encodings.idna"}
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as source:
        for node in ast.walk(ast.parse(source.read())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
for name in names:
    importlib.import_module(name)

files = set()
for module in list(sys.modules.values()):
    files.update((getattr(module, "__file__", None), getattr(module, "__cached__", None)))
with open("/proc/self/maps", encoding="utf-8") as maps:
    files.update(line.split()[-1] for line in maps if ".so" in line)
files.discard(None)
print("\n".join(sorted(files)))
