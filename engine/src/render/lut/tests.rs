//! Tables that are known, and OpenColorIO's answers.

use super::CubeLut;
use std::io::Write as _;
use std::path::Path;

fn cube(side: usize, f: impl Fn([f32; 3]) -> [f32; 3]) -> String {
    let mut text = format!("TITLE \"t\"\nLUT_3D_SIZE {side}\n");
    let at = |i: usize| i as f32 / (side - 1) as f32;
    for i in 0..side * side * side {
        let [r, g, b] = f([at(i % side), at(i / side % side), at(i / side / side)]);
        text += &format!("{r} {g} {b}\n");
    }
    text
}

#[test]
fn linear_tables_are_exact() {
    let f = |[r, g, b]: [f32; 3]| [0.5 * r + 0.1 * g, g - 0.2 * b, 0.3 * r + 0.7 * b];
    let lut = CubeLut::parse(&cube(5, f)).unwrap();
    for i in 0..1000 {
        let rgb = [i % 10, i / 10 % 10, i / 100].map(|v| v as f32 / 9.0);
        for (a, b) in lut.at(rgb).iter().zip(f(rgb)) {
            assert!((a - b).abs() < 1e-5, "{rgb:?}");
        }
    }
    // Beyond the domain: the edge.
    assert_eq!(lut.at([2.0, -1.0, f32::NAN]), lut.at([1.0, 0.0, 0.0]));
}

#[test]
fn what_is_refused() {
    let good = cube(2, |c| c);
    assert!(CubeLut::parse(&good).is_ok());
    for bad in [
        "".to_string(),
        "LUT_3D_SIZE 1\n".into(),
        "LUT_3D_SIZE 100000\n".into(),
        "LUT_1D_SIZE 2\n0 0 0\n".into(),
        "LUT_1D_SIZE 2\n0 0 0\n1 1 x\n".into(),
        "LUT_1D_SIZE 2\n0 0 0\n1 1 1 1\n".into(),
        "LUT_1D_SIZE 2\n0 0 0\n1 1 1\n1 1 1\n".into(),
        "LUT_1D_SIZE 2\nDOMAIN_MIN 1 1 1\n0 0 0\n1 1 1\n".into(),
        "WHAT 3\n".into(),
        "LUT_1D_SIZE 2\n0 0 0\n1 1 inf\n".into(),
    ] {
        assert!(CubeLut::parse(&bad).is_err(), "{bad:?}");
    }
}

/// `shared/data/5-timeline/ocio-luts` against PyPI `opencolorio`; `RUSHES_OCIO` names a Python that has
/// it. Without, it says so and compares nothing.
#[test]
fn as_opencolorio() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/5-timeline/ocio-luts");
    let Some(python) = std::env::var_os("RUSHES_OCIO") else {
        // Past the harness, which keeps what tests print to itself: nobody shall believe that this
        // was compared.
        let _ = writeln!(
            std::io::stderr().lock(),
            "as_opencolorio: NOT COMPARED: name a Python with PyPI opencolorio in RUSHES_OCIO"
        );
        return;
    };
    if !folder.is_dir() {
        let _ = writeln!(std::io::stderr().lock(), "as_opencolorio: NOT COMPARED: no shared data");
        return;
    }
    let script = "import sys, PyOpenColorIO as o\n\
        c=o.Config.CreateRaw()\n\
        p=c.getProcessor(o.FileTransform(src=sys.argv[1],interpolation=o.INTERP_TETRAHEDRAL)).getDefaultCPUProcessor()\n\
        for i in range(4913):\n\
        \x20v=[i%17/16*1.2-.1,i//17%17/16*1.2-.1,i//289/16*1.2-.1]\n\
        \x20print(*p.applyRGB(v))\n";
    let mut made = tempfile(&cube(9, |[r, g, b]| [r * r, g.sqrt(), (b * 3.0).sin().abs()]));
    for name in ["iridas_1d.cube", "iridas_3d.cube", "resolve_1d3d.cube", ""] {
        let path = if name.is_empty() { std::mem::take(&mut made) } else { folder.join(name) };
        let lut = CubeLut::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let output =
            std::process::Command::new(&python).args(["-c", script]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut most = 0.0f32;
        for (i, line) in String::from_utf8_lossy(&output.stdout).lines().enumerate() {
            let rgb = [i % 17, i / 17 % 17, i / 289].map(|v| v as f32 / 16.0 * 1.2 - 0.1);
            for (a, b) in lut.at(rgb).iter().zip(line.split_whitespace()) {
                most = most.max((a - b.parse::<f32>().unwrap()).abs());
            }
        }
        eprintln!("{}: largest difference {most:e}", path.display());
        assert!(most <= 1.0 / 1023.0, "{}: {most}", path.display());
    }
}

fn tempfile(text: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("rushes-{}.cube", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}
