"""Prints each pattern of each stock filter of the fail2ban in sys.argv[1] as JSON: filter, option, text."""
import ast, json, os, pathlib, shutil, subprocess, sys, tempfile

root = pathlib.Path(sys.argv[1])
with tempfile.TemporaryDirectory() as scratch:
    tree = pathlib.Path(scratch, "fail2ban")
    shutil.copytree(root / "etc/fail2ban", tree)
    names = sorted(file.stem for file in (tree / "filter.d").glob("*.conf") if "common" not in file.stem)
    for file in (tree / "jail.d").iterdir():
        file.unlink()
    jails = (f"[{name}]\nenabled=true\nfilter={name}\nbackend=systemd\nlogpath=\naction=\n" for name in names)
    (tree / "jail.local").write_text("".join(jails))
    dump = subprocess.run(
        ["/usr/bin/python3", root / "usr/bin/fail2ban-client", "-c", tree, "-d"],
        env={**os.environ, "PYTHONPATH": root / "usr/lib/python3/dist-packages"},
        capture_output=True, text=True, check=True,
    ).stdout
for line in dump.splitlines():
    if not line.startswith("["):
        continue
    _, jail, option, *values = ast.literal_eval(line) + [None, None]
    if option in ("prefregex", "maxlines", "addfailregex", "addignoreregex"):
        texts = values[0] if isinstance(values[0], list) else [values[0]]
        for text in texts:
            print(json.dumps([jail, option, str(text)]))
