# SPIN of mmhuman3d on the data, backbone and budget of configs/mion/mrt_tiny_synthetic.py. Every image has SMPL labels,
# which take the place of SMPLify's fits, as in mmhuman3d; spin_tiny_synthetic_half-2d.py has SMPLify in the loop.
#   python tools/train.py configs/baselines/spin_tiny_synthetic.py
#   python tools/test.py configs/baselines/spin_tiny_synthetic.py work_dirs/spin_tiny_synthetic/epoch_8.pth
_base_ = ["./hmr_tiny_synthetic.py"]

body_model = dict(type="SMPL", keypoint_src="smpl_54", keypoint_dst="smpl_49", keypoint_approximate=True)
registrant = dict(
    type="SMPLify",
    body_model=body_model,
    num_epochs=1,
    # mmhuman3d: 50 and 50 iterations; this is what a CPU has time for
    stages=[
        dict(num_iter=5, fit_global_orient=True, fit_transl=True, fit_body_pose=False, fit_betas=False),
        dict(num_iter=10, fit_global_orient=True, fit_transl=False, fit_body_pose=True, fit_betas=True),
    ],
    optimizer=dict(type="Adam", lr=1e-2, betas=(0.9, 0.999)),
    keypoints2d_loss=dict(type="KeypointMSELoss", loss_weight=1.0, reduction="sum", sigma=100),
    shape_prior_loss=dict(type="ShapePriorLoss", loss_weight=5.0**2, reduction="sum"),
    joint_prior_loss=dict(type="JointPriorLoss", loss_weight=15.2**2, reduction="sum"),
    # fitted to the packaged motion capture
    pose_prior_loss=dict(
        type="MaxMixturePrior", prior_folder=None, num_gaussians=8, loss_weight=4.78**2, reduction="sum"
    ),
    ignore_keypoints=[
        "neck_openpose",
        "right_hip_openpose",
        "left_hip_openpose",
        "right_hip_extra",
        "left_hip_extra",
    ],
    # of the 224 crop, whatever the image's size
    camera=dict(
        type="PerspectiveCameras",
        convention="opencv",
        in_ndc=False,
        focal_length=5000,
        image_size=(224, 224),
        principal_point=(112, 112),
    ),
)
model = dict(
    architecture=dict(
        body_model_train=body_model,
        registration=dict(mode="in_the_loop", registrant=registrant),
        convention="smpl_49",
        loss_camera=dict(type="CameraPriorLoss", loss_weight=60),
    ),
    remember_fits=False,  # each epoch has new images
)

# HMR's 1e-3 diverges here within 300 steps (the camera's prior, which HMR lacks)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
