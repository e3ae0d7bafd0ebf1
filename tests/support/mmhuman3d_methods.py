"""mmhuman3d's methods as its own configs have them, on small networks."""

ITERATIONS = dict(num_iter=2, ftol=0.0)  # stopping early depends on the other samples of the batch

PARE_HEAD = dict(
    num_input_features=64,
    num_deconv_layers=1,
    num_deconv_filters=[16],
    num_deconv_kernels=[4],
    num_features_smpl=8,
    use_heatmaps="part_segm",
    backbone="resnet18",
)


def architecture(method: str) -> dict:
    """mmhuman3d's own config of a method, paths included, with one stage of a ResNet-18."""
    convention = {"hmr": "smpl_54", "cliff": "smpl_54", "spin": "smpl_49", "pare": "smpl_49"}[method]
    body_model = dict(
        type="SMPL",
        keypoint_src="smpl_54",
        keypoint_dst=convention,
        keypoint_approximate=True,
        model_path="data/smpl",
        extra_joints_regressor="data/smpl/J_regressor_extra.npy",
    )
    config = dict(
        type="CliffImageBodyModelEstimator" if method == "cliff" else "ImageBodyModelEstimator",
        backbone=dict(type="ResNet", depth=18, num_stages=1, strides=(1,), dilations=(1,), out_indices=[0]),
        head=dict(
            type={"cliff": "CliffHead", "pare": "PareHead"}.get(method, "HMRHead"),
            smpl_mean_params="data/smpl_mean_params.npz",
        ),
        body_model_train=body_model,
        body_model_test=dict(
            type="SMPL",
            keypoint_src="h36m",
            keypoint_dst="h36m",
            model_path="data/smpl",
            joints_regressor="data/smpl/J_regressor_h36m.npy",
        ),
        convention=convention,
        loss_keypoints3d=dict(type="SmoothL1Loss", loss_weight=100),
        loss_keypoints2d=dict(type="SmoothL1Loss", loss_weight=10),
        loss_vertex=dict(type="L1Loss", loss_weight=2),
        loss_smpl_pose=dict(type="MSELoss", loss_weight=3),
        loss_smpl_betas=dict(type="MSELoss", loss_weight=0.02),
    )
    if method == "pare":
        config["head"] |= PARE_HEAD
        config["loss_vertex"] = None
    else:
        config["head"]["feat_dim"] = 64
    if method == "spin":
        config |= dict(
            registration=dict(mode="in_the_loop", registrant=smplify(body_model)),
            loss_camera=dict(type="CameraPriorLoss", loss_weight=60),
        )
    return config


def smplify(body_model: dict) -> dict:
    return dict(
        type="SMPLify",
        body_model=body_model,
        num_epochs=1,
        stages=[
            dict(fit_global_orient=True, fit_transl=True, fit_body_pose=False, fit_betas=False, **ITERATIONS),
            dict(fit_global_orient=True, fit_transl=False, fit_body_pose=True, fit_betas=True, **ITERATIONS),
        ],
        optimizer=dict(type="Adam", lr=1e-2, betas=(0.9, 0.999)),
        keypoints2d_loss=dict(type="KeypointMSELoss", loss_weight=1.0, reduction="sum", sigma=100),
        shape_prior_loss=dict(type="ShapePriorLoss", loss_weight=5.0**2, reduction="sum"),
        joint_prior_loss=dict(type="JointPriorLoss", loss_weight=15.2**2, reduction="sum"),
        pose_prior_loss=dict(
            type="MaxMixturePrior", prior_folder="data", num_gaussians=8, loss_weight=4.78**2, reduction="sum"
        ),
        ignore_keypoints=["neck_openpose", "right_hip_openpose", "left_hip_openpose"],
        camera=dict(
            type="PerspectiveCameras",
            convention="opencv",
            in_ndc=False,
            focal_length=5000,
            image_size=(224, 224),
            principal_point=(112, 112),
        ),
    )
