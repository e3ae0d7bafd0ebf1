"""The small model on 112 px crops that comes with the package; for a laptop without a GPU.

The only place where it is written: its trainings (configs/mion/mrt_tiny_lifting*.py, reader_tiny_synthetic.py), its
test and the config for mmhuman3d take the parts from here.
"""

camera = dict(image_size=112, focal_length=2500.0)  # the camera of 5000 px at 224

model = dict(
    type="mion.MION",
    # 500 px^2 at 112 are 2000 px^2 at 224 (paper, 3.4)
    selector=dict(type="mion.CandidateSelector", max_fit_loss=500.0),
    # No image part: trained on pictures it made bodies worse on a real clip than none (docs/results.md). What is left
    # of the paper's stage 2 are the queries and the decoder.
    refiner=dict(
        type="mion.RefinementNetwork",
        # one layer: most of the lifting is the residual network's, and a layer costs twice what that does
        transformer=dict(
            width=144,
            num_heads=4,
            num_encoder_layers=0,
            num_decoder_layers=1,
            feedforward=512,
            dropout=0.0,
            norm_first=True,
        ),
        position_encoding=dict(type="mion.SinePositionEncoding2D"),
        head=dict(rotation="absolute"),
        queries=dict(keypoints="coco", depths=True, lifting=dict(width=1024, depth=3)),
        **camera,
    ),
    # Not in the paper: depths read from the picture and compared with the bodies', and keypoints corrected by it. How
    # much each is worth on synthetic people and on a real clip is in docs/results.md.
    cen=dict(
        type="mion.DepthConsistency",
        measure="expected",
        reader=dict(
            type="mion.DepthReader",
            # maps of strides 4, 8 and 16, 24, 40 and 112 channels; depths are read in the last two
            backbone=dict(type="mion.TimmBackbone", model_name="tf_efficientnet_lite0", out_indices=(1, 2, 3)),
            map_indices=(1, 2),
            own_depths=True,
            locator=dict(),
        ),
        **camera,
    ),
    # Not in the paper: the refined bodies miss the keypoints that are given. The prior is narrower than the default's,
    # since these bodies are nearer to the truth: chosen on validation people, as is the rule (docs/results.md).
    fit=dict(type="mion.KeypointFit", prior=dict(type="mion.StartPrior", joints=0.15)),
    # Not in the paper: fitted paths end within a centimetre of each other; what people are shown differs by more.
    alternatives=True,
    # Not in the paper: all stages read the keypoints where stage 3's reader sees them in the picture.
    correct_keypoints=True,
    # Measure, rule and weight are those that choose best on validation people, plain and harsh (docs/results.md).
    selection="cen+reprojection",
    reprojection_weight=0.5,
)
