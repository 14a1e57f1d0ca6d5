# The foundation runs this before the application: credentials of the bound service become files,
# which nobody else in the container can read.
(
    umask 077
    mkdir -p "$HOME/credentials"
    python3 - "$HOME/credentials" <<'PYTHON'
import json, os, pathlib, sys

folder = pathlib.Path(sys.argv[1])
bound = json.loads(os.environ["VCAP_SERVICES"])
found = [s["credentials"] for group in bound.values() for s in group if s["name"] == "pilot-core-credentials"]
if not found:
    sys.exit("pilot-core: no service pilot-core-credentials is bound")
for name in ("bbs_ca", "bbs_cert", "bbs_key", "instance_ca", "admin_token"):
    if name not in found[0]:
        sys.exit(f"pilot-core: pilot-core-credentials has no {name}")
    (folder / f"{name}.pem").write_text(found[0][name] + "\n")
PYTHON
)
