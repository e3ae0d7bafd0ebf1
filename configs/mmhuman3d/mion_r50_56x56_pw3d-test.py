# The three stages at the paper's size on 3DPW's test set, by mmhuman3d's own tools:
#   python tools/test.py configs/mmhuman3d/mion_r50_56x56_pw3d-test.py work_dirs/mion/epoch_60.pth \
#       --work-dir work_dirs/mion --metrics pa-mpjpe mpjpe pve
_base_ = ["./mion_r50_56x56_h36m-test.py"]

data = dict(
    test=dict(
        dataset_name="pw3d",
        ann_file="pw3d_test.npz",
        # The truth: SMPL of each person's gender. mmhuman3d reads the official files with chumpy, which new Pythons
        # lack; rewrite them: for gender in ("neutral", "male", "female"): mion_plugin.body.export.export_body(
        # mion_plugin.body.load_body("official", gender), "data/body_models/smpl", gender)
        body_model=dict(
            type="GenderedSMPL",
            keypoint_src="h36m",
            keypoint_dst="h36m",
            model_path="data/body_models/smpl",
            joints_regressor="data/body_models/J_regressor_h36m.npy",
        ),
    )
)
