use super::*;
use sha2::{Digest, Sha256};

/// Against PyPI `openai-whisper==20250625`, `whisper/assets/mel_filters.npz`.
#[test]
fn the_published_filters_bit_for_bit() {
    for (bands, digest, cells) in [
        (
            80,
            "4f2701b1d287d74a0dc9871026e9519d98cb76426615f2539b0d151a0ae4ec2e",
            [(0, 1, 0x3ccb_aca4), (10, 6, 0), (79, 195, 0x3b13_0ca3), (79, 199, 0x39eb_476a)],
        ),
        (
            128,
            "2a5f9822897750e047c85dea37cc268d3be0ecfd23c28a5f10da129d99d05afe",
            [
                (0, 1, 0x3c4a_bc43),
                (10, 6, 0x3c38_f645),
                (127, 195, 0x3ba5_3405),
                (127, 199, 0x3a92_0d0a),
            ],
        ),
    ] {
        let mel = mel_filters(bands);
        assert_eq!((mel.bands, mel.bins, mel.values.len()), (bands, 201, bands * 201));
        for (band, bin, bits) in cells {
            let got = mel.values[band * 201 + bin];
            assert!((got - f32::from_bits(bits)).abs() < 1e-7, "{bands}: {band}, {bin}: {got}");
        }
        let bytes: Vec<u8> = mel.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let got: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(got, digest, "{bands}");
    }
}
