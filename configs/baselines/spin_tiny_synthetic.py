# SPIN of mmhuman3d on the data, backbone and budget of configs/mion/mrt_tiny_synthetic.py. Every image has SMPL labels,
# which take the place of SMPLify's fits, as in mmhuman3d; spin_tiny_synthetic_half-2d.py has SMPLify in the loop.
#   python tools/train.py configs/baselines/spin_tiny_synthetic.py
#   python tools/test.py configs/baselines/spin_tiny_synthetic.py work_dirs/spin_tiny_synthetic/epoch_8.pth
_base_ = ["./hmr_tiny_synthetic.py", "../_base_/spin_registration.py"]

registrant = dict(
    **{
        **_base_.smplify,
        # mmhuman3d: 50 and 50 iterations; this is what a CPU has time for
        "stages": [
            dict(num_iter=5, fit_global_orient=True, fit_transl=True, fit_body_pose=False, fit_betas=False),
            dict(num_iter=10, fit_global_orient=True, fit_transl=False, fit_body_pose=True, fit_betas=True),
        ],
        # fitted to the packaged motion capture
        "pose_prior_loss": dict(**{**_base_.smplify.pose_prior_loss, "prior_folder": None}),
    }
)
model = dict(
    architecture=dict(**{**_base_.spin_architecture, "registration": dict(mode="in_the_loop", registrant=registrant)}),
    remember_fits=False,  # each epoch has new images
)

# HMR's 1e-3 diverges here within 300 steps (the camera's prior, which HMR lacks)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
