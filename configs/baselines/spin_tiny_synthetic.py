# SPIN of mmhuman3d on the data, backbone and schedule of hmr_tiny_synthetic.py. Every image has SMPL labels, which
# take the place of SMPLify's fits, as in mmhuman3d; spin_tiny_synthetic_half-2d.py has SMPLify in the loop.
#   python tools/train.py configs/baselines/spin_tiny_synthetic.py --resume
#   python tools/benchmark.py methods
# Its own sweep: python tools/benchmark.py rates configs/baselines/spin_tiny_synthetic.py
_base_ = ["./hmr_tiny_synthetic.py", "../_base_/spin_registration.py"]

registrant = dict(
    **{
        **_base_.smplify,
        # SPIN's weights are for pixels of a 224 crop (its smplify/losses.py), which mmhuman3d divides by half its side
        "keypoints2d_loss": dict(type="KeypointMSELoss", loss_weight=111.5**2, reduction="sum", sigma=100 / 111.5),
        # fitted to the packaged motion capture
        "pose_prior_loss": dict(**{**_base_.smplify.pose_prior_loss, "prior_folder": None}),
    }
)
model = dict(
    architecture=dict(**{**_base_.spin_architecture, "registration": dict(mode="in_the_loop", registrant=registrant)}),
)

# after 300 steps 245 mm of validation; 5e-4 and 8e-4 have 251 and 250
optim_wrapper = dict(optimizer=dict(lr=3e-4))
