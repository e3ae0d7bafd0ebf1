"""Small ONNX networks with the interfaces of RTMPose and YOLOX, whose answers are known."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = 48, 64  # of RTMPose's input
SIDE = 64  # of YOLOX's
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])  # ImageNet's, RGB
GAINS = np.linspace(0.1, 0.6, 17)  # of the 17 SimCCs: white gives 0.23 to 1.6
HIDDEN = 16  # the keypoint whose SimCC is nowhere positive


def write_pose_network(path, keypoints=17, gains=GAINS):
    """A pose network: keypoint k is where the channel k % 3 of its input is brightest.

    SimCC of an axis: the brightest pixel of each column (row) by the gain of k; every other bin is between two pixels.
    """
    looks = np.zeros((keypoints, 3), np.float32)
    looks[np.arange(keypoints), np.arange(keypoints) % 3] = np.resize(gains, keypoints)
    bias = np.zeros((keypoints, 1), np.float32)
    bias[HIDDEN] = -10.0
    constants = {"looks": looks, "bias": bias, "bins_x": bins(WIDTH), "bins_y": bins(HEIGHT)}
    nodes = []
    for axis, over in (("x", 2), ("y", 3)):
        nodes += [
            helper.make_node("ReduceMax", ["input"], [f"line_{axis}"], axes=[over], keepdims=0),
            helper.make_node("MatMul", ["looks", f"line_{axis}"], [f"seen_{axis}"]),
            helper.make_node("MatMul", [f"seen_{axis}", f"bins_{axis}"], [f"raw_{axis}"]),
            helper.make_node("Add", [f"raw_{axis}", "bias"], [f"simcc_{axis}"]),
        ]
    outputs = {"simcc_x": ["batch", keypoints, 2 * WIDTH], "simcc_y": ["batch", keypoints, 2 * HEIGHT]}
    return save(path, nodes, constants, ["batch", 3, HEIGHT, WIDTH], outputs)


def bins(length):
    """(length, 2 length): what each pixel gives each bin."""
    given = np.zeros((length, 2 * length), np.float32)
    given[np.arange(length), 2 * np.arange(length)] = 1.0
    for pixel in range(length):
        given[[pixel, min(pixel + 1, length - 1)], 2 * pixel + 1] += 0.5
    return given


def write_person_network(path, boxes, suppressed=True, sizes=(SIDE, SIDE)):
    """A person detector that finds the same boxes in every image that is blue enough anywhere.

    Args:
        path: File to write.
        boxes: S of (x0, y0, x1, y1, score) in pixels of its input, with ``suppressed``; else of (x0, y0, x1, y1, score,
            class 0 or 1).
        suppressed: With the non-maximum suppression in the file: (1, S, 5). Else YOLOX's raw (1, cells, 5 + 2 classes).
        sizes: Height and width that the file declares for its input.
    """
    found = np.array(boxes, np.float32)[None] if suppressed else encode(boxes)
    columns = np.zeros(found.shape[2], np.float32)
    columns[4] = 1.0
    constants = {
        "places": found * (1 - columns),
        "scores": found * columns,
        "grey": np.float32(114.0),  # of the margin around an image
        "range": np.float32(141.0),
    }
    nodes = [
        helper.make_node("Slice", ["input", "from", "to", "axis"], ["first"]),
        helper.make_node("ReduceMax", ["first"], ["brightest"], keepdims=0),
        helper.make_node("Sub", ["brightest", "grey"], ["above"]),
        helper.make_node("Div", ["above", "range"], ["blue"]),
        helper.make_node("Mul", ["scores", "blue"], ["seen"]),
        helper.make_node("Add", ["places", "seen"], ["dets"]),
    ]
    constants |= {name: np.array([value], np.int64) for name, value in (("from", 0), ("to", 1), ("axis", 1))}
    return save(path, nodes, constants, ["batch", 3, *sizes], {"dets": ["batch", *found.shape[1:]]})


def encode(boxes):
    """YOLOX's raw output: a row for each cell of the three grids; box n is told by the nth cell of the middle one."""
    fine, middle, coarse = ((SIDE // stride) ** 2 for stride in (8, 16, 32))
    rows = np.zeros((1, fine + middle + coarse, 7), np.float32)
    for number, (x0, y0, x1, y1, score, kind) in enumerate(boxes):
        cell = np.array([number % (SIDE // 16), number // (SIDE // 16)])
        row = rows[0, fine + number]
        row[:2] = np.array([x0 + x1, y0 + y1]) / 2 / 16 - cell
        row[2:4] = np.log(np.array([x1 - x0, y1 - y0]) / 16)
        row[4], row[5 + kind] = score, 1.0
    return rows


def save(path, nodes, constants, shape, outputs):
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, of) for name, of in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
