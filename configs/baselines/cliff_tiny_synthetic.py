# CLIFF of mmhuman3d on the data, backbone and schedule of hmr_tiny_synthetic.py.
#   python tools/train.py configs/baselines/cliff_tiny_synthetic.py --resume
#   python tools/benchmark.py methods
# Its own sweep: python tools/benchmark.py rates configs/baselines/cliff_tiny_synthetic.py
# What CLIFF adds to HMR is where the crop lies in its photograph. These pictures are nothing but the crop, so that it
# reads the same box for everybody. Its full-frame camera would also be another than the one that drew them (a focal
# length of 158 px, the diagonal, for 2500), so that its 2D loss is left out: what remains is an HMR with CLIFF's head,
# whose camera learns nothing. Where it puts bodies means nothing; the benchmark places them by the keypoints.
_base_ = ["./hmr_tiny_synthetic.py"]

model = dict(
    architecture=dict(
        type="CliffImageBodyModelEstimator", head=dict(type="CliffHead"), loss_keypoints2d=dict(loss_weight=0.0)
    )
)
# mmhuman3d's for CLIFF. After 300 steps 8e-4 and 5e-4 were better (248 mm of validation, 254 with this)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
