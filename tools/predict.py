"""MION on many photographs: the parameters of everybody's bodies, about 2 KB a person, and no pictures.

    python tools/predict.py photos/ --out predictions                     # a folder, at any depth
    python tools/predict.py list.txt --out predictions                    # a path in each line
    python tools/predict.py person_keypoints_val2017.json --image-root val2017 --out predictions
    python tools/predict.py 'shards/*.tar' --out predictions --keypoints-member json
    python tools/predict.py photos/ --out predictions --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
    torchrun --nproc-per-node 8 tools/predict.py photos/ --out predictions

The folder gets an .npz file for each so many photographs (mion_plugin.prediction.read_predictions reads them),
settings.json and summary.json, with what was skipped and why. A run that was killed goes on when started again and
ends with the same files, whatever the number of processes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import OneLineParser, report_errors, run_command
from demos.options import add_model_arguments, add_people_arguments


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = OneLineParser(description=(__doc__ or "").split("\n")[0])
    _add_input(parser.add_argument_group("what to look at"))
    add_model_arguments(parser.add_argument_group("the model"))
    _add_run(parser.add_argument_group("the run"))
    return parser.parse_args(arguments)


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="folder, list (.txt), COCO keypoint annotations (.json), or tars in WebDataset's layout, also as globs",
    )
    group.add_argument(
        "--image-root", type=Path, help="folder that a list's or file's paths start from; default: its own"
    )
    add_people_arguments(group)
    group.add_argument(
        "--keypoints-member",
        metavar="SUFFIX",
        help="tars: keypoints are in the member NAME.SUFFIX beside each photograph, a list of COCO annotations in JSON",
    )


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, required=True, help="folder for the results")
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="do part I, from 0, of N; ranks of torchrun divide it again (default: everything)",
    )
    group.add_argument("--shard-size", type=int, default=1000, help="photographs in a file of results (default: 1000)")
    group.add_argument("--batch-size", type=int, default=16, help="people at once (default: 16)")
    group.add_argument("--workers", type=int, default=2, help="processes that read and cut; 0 for none (default: 2)")


@report_errors("predict.py")
def main(arguments: list[str] | None = None) -> int:
    """Run the tool; 2 on bad input."""
    return run_command("predict", parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
