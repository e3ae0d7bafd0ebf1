# The small model on synthetic people, made on the fly: no file is needed, no GPU, by mmhuman3d's own tools.
#   python tools/train.py configs/mmhuman3d/mion_tiny_synthetic.py --work-dir work_dirs/mion_tiny --device cpu
#   python tools/test.py configs/mmhuman3d/mion_tiny_synthetic.py work_dirs/mion_tiny/latest.pth \
#       --work-dir work_dirs/mion_tiny --device cpu --metrics mpjpe pa-mpjpe pve
# Stage 3 is the package's, with its weights. Stage 2 has no image part, so there is no backbone and no neck. Networks,
# cameras and the rule of choice are the package's own.
import mion_plugin.models

_base_ = ["./_base_/default_runtime.py", "./_base_/photographs.py"]
custom_imports = dict(imports=["mion_plugin"], allow_failed_imports=False)

img_res = 112
tiny = mion_plugin.models.load_model_config("mion_tiny").model.to_dict()
network = {key: value for key, value in tiny["refiner"].items() if key != "type"}

model = dict(
    type="MIONEstimator",
    head=dict(type="MRT", network=network, train_candidates=4, loss=dict(type="mion.MeshLoss", betas_weight=0.04)),
    # the poses of test recordings are not candidates
    selector={**tiny["selector"], "type": "CandidateSelector", "pool_split": "train"},
    cen={**tiny["cen"], "type": "DepthConsistency"},
    cen_checkpoint=tiny["cen_checkpoint"],
    fit={**tiny["fit"], "prior": {**tiny["fit"]["prior"], "pool_split": "train"}},
    correct_keypoints=tiny["correct_keypoints"],
    selection=tiny["selection"],
    reprojection_weight=tiny["reprojection_weight"],
)

data_keys = [
    "has_smpl",
    "smpl_body_pose",
    "smpl_global_orient",
    "smpl_betas",
    "keypoints2d",
    "keypoints2d_input",
    "keypoints3d",
    "sample_idx",
]
pipeline = [  # the whole picture is the crop
    {{_base_.normalize}},
    dict(type="ImageToTensor", keys=["img"]),
    dict(type="ToTensor", keys=data_keys),
    dict(type="Collect", keys=["img", *data_keys], meta_keys=["dataset_name", "image_path"]),
]
inference_pipeline = [  # of inference_image_based_model
    dict(type="MeshAffine", img_res=img_res),
    dict(type="Compose", transforms={{_base_.person_steps}}),
]
synthetic = dict(type="SURREALSynthesisDataset", image_size=img_res, detected_noise=1.5, pipeline=pipeline)
data = dict(
    samples_per_gpu=32,
    workers_per_gpu=1,
    train=dict(**synthetic, num_samples=16000, split="train", looks=dict(recipe="training")),
    val=dict(**synthetic, num_samples=256, split="test", seed=1, looks=dict(recipe="plain")),
    test=dict(**synthetic, num_samples=1024, split="test", seed=2, looks=dict(recipe="plain")),
)
evaluation = dict(interval=2, metric=["mpjpe", "pa-mpjpe"])

optimizer = dict(type="AdamW", lr=1e-3, weight_decay=1e-4)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy="CosineAnnealing", min_lr=1e-5, by_epoch=False, warmup="linear", warmup_iters=50)
runner = dict(type="EpochBasedRunner", max_epochs=8)
