# The paper's mesh refinement transformer (3.2, 3.4). What the paper leaves open is DETR's and says so.
# Files that you provide (README, "Real data"):
#   data/body_models/smpl: SMPL_NEUTRAL.pkl (for 3DPW SMPL_MALE.pkl and SMPL_FEMALE.pkl, too)
#   data/body_models, or beside SMPL's files: J_regressor_h36m.npy and J_regressor_extra.npy
#   data/amass_pool.npz, made from AMASS:
#     tools/build_candidate_pool.py --source data/amass --out data/amass_pool.npz --body-model data/body_models/smpl
# None in place of these paths, here and in the evaluators, means the free stand-ins.
model = dict(
    type="mion.MRT",
    network=dict(
        type="mion.RefinementNetwork",
        # IMAGENET1K_V1 is torchvision's first set of weights, which it downloads; a checkpoint file does as well:
        # --cfg-options model.network.backbone.weights=FILE.pth
        backbone=dict(type="mion.TorchvisionResNet", depth=50, weights="IMAGENET1K_V1"),
        neck=dict(type="mion.DeconvNeck", in_channels=2048, channels=384, num_layers=3),  # 7 x 7 to 56 x 56
        # DETR's numbers, at the paper's 384 channels, but for the encoder: with DETR's six layers the paper's 63 ms for
        # stage 2 could not be (docs/training.md, "How many layers")
        transformer=dict(
            width=384,
            num_heads=8,
            num_encoder_layers=2,
            num_decoder_layers=6,
            feedforward=2048,
            dropout=0.1,
            checkpointing=False,  # True: less memory, the same gradients, about a third more time
        ),
        position_encoding=dict(type="mion.PNCCEncoding", frequency_scale=1.0),  # eq. 5 as printed
        renderer=dict(type="mion.PNCCRenderer", size=56),
        # the decoder's queries are learned embeddings and its outputs the rotations, as the paper reads
        queries=dict(candidate=False, features=False, keypoints=None),
        # the paper names rotation vectors: representation="axis_angle"
        head=dict(rotation="absolute", representation="6d"),
        image_size=224,
        focal_length=5000.0,  # SPIN's
        body=dict(type="mion.SMPLBody", model_path="data/body_models/smpl"),
    ),
    train_candidates=1,  # the paper does not say how many branches of an image are in a batch
    # eq. 7 as printed; w1, w2 of eq. 6
    loss=dict(type="mion.MeshLoss", smpl="printed", smpl_weight=1.0, keypoints_weight=5.0),
    # the joints of LSP and MPII "are used for weak supervision" (4.1); 3.1 also calls the detected ones the weak label:
    # "detected"
    keypoints2d_target="annotated",
    # 10,000 poses x 30 orientations, fit loss below 2000, "the largest pose parameter distance" (3.1, 3.4); 5 paths are
    # the paper's best (table 1)
    selector=dict(
        type="mion.CandidateSelector",
        pool="data/amass_pool.npz",
        distance="axis_angle",
        num_candidates=5,
        max_fit_loss=2000.0,
    ),
)
