//! The spec as it is written: version 1. Fields, their meaning and what they may hold; what they
//! come to on the clock is [`super::layout`]'s business.

use super::reader::{spec_struct, spec_words};
use super::value::{Animated, Rate, Rgb, Size, Time};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version this engine reads and writes.
pub const VERSION: u32 = 1;

spec_struct! {
    /// An edit: what is shown and heard when, and what files come of it.
    Timeline {
        /// The version of this format: 1.
        rushes: u32,
        /// A name, for people and for the files made of it.
        name: Option<String>,
        /// Values that may be set from outside, by name. A place that takes one holds
        /// `{"$var": "name"}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        variables: BTreeMap<String, Variable>,
        /// Values for variables, by name: each combination of them is a variant.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        matrix: BTreeMap<String, Vec<Value>>,
        /// The picture that everything is put on.
        canvas: Canvas,
        /// The files that are used, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        assets: BTreeMap<String, Asset>,
        /// Tracks of pictures, the lowest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        video: Vec<VideoTrack>,
        /// Tracks of sound besides what the items of video tracks bring along.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        audio: Vec<AudioTrack>,
        /// What is done to the whole sound.
        #[serde(skip_serializing_if = "Option::is_none")]
        sound: Option<Sound>,
        /// Captions over everything, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        captions: Vec<CaptionSpec>,
        /// Fonts besides the one that comes along (TrueType or OpenType files, relative to the spec's
        /// folder), for titles and captions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fonts: Vec<String>,
        /// The files to make, from best to least; one MP4 with H.264 and AAC if none is said.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outputs: Vec<Output>,
    }
}

spec_words! {
    /// What a variable may hold.
    VariableType {
        /// Any text.
        Text = "text",
        /// A time.
        Time = "time",
        /// A number.
        Number = "number",
        /// `true` or `false`.
        Flag = "flag",
        /// A colour.
        Colour = "colour",
        /// A size in pixels.
        Size = "size",
        /// Frames a second.
        Rate = "rate",
        /// The name of a file.
        File = "file",
    }
}

spec_struct! {
    /// A value that may be set from outside.
    Variable {
        /// What it may hold.
        r#type: VariableType,
        /// What it holds if nobody sets it; without one it must be set.
        default: Option<Value>,
        /// If given, it must be one of these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        among: Vec<Value>,
    }
}

spec_words! {
    /// The colour space of canvas and outputs.
    #[derive(Default)]
    ColourSpace {
        /// HD: BT.709, limited range.
        #[default]
        Bt709 = "bt709",
        /// SD: BT.601 matrix, limited range.
        Bt601 = "bt601",
        /// UHD: BT.2020 primaries and matrix, SDR transfer, limited range.
        Bt2020 = "bt2020",
    }
}

spec_struct! {
    /// The picture that everything is put on.
    Canvas {
        /// Its size in pixels.
        size: Size,
        /// Its frames a second.
        rate: Rate,
        /// What is seen where nothing is; black if not said.
        background: Option<Rgb>,
        /// Its colour space; BT.709 if not said.
        colour: Option<ColourSpace>,
    }
}

spec_struct! {
    /// Something of a library: a film (`media`), a stretch of one (`shot`, `segment`), or an answer to a
    /// question (`search`). Whoever renders says which library.
    #[derive(Default)]
    LibraryAsset {
        /// A part of the film's name; with `search`, only this film is looked through.
        media: Option<String>,
        /// Which of its shots, from 1.
        shot: Option<u32>,
        /// The number of a segment of a transcript in the catalogue.
        segment: Option<u32>,
        /// A question, as `rushes search` takes it.
        search: Option<String>,
        /// Which of the answers, from 1; the first if not said.
        hit: Option<u32>,
    }
}

spec_struct! {
    /// A file that is used: exactly one of these.
    #[derive(Default)]
    Asset {
        /// A film or sound, relative to the spec's folder.
        file: Option<String>,
        /// A picture (PNG, JPEG or WebP; transparency counts), relative to the spec's folder.
        image: Option<String>,
        /// Something of a library, looked up when the edit is opened. Items that show it without
        /// `from`, `to` and `length` show its stretch.
        library: Option<LibraryAsset>,
    }
}

spec_struct! {
    /// Pictures one after the other; what lies on a later track covers what lies below it.
    VideoTrack {
        /// A name, for people.
        name: Option<String>,
        /// In order of time.
        #[serde(default)]
        items: Vec<VideoItem>,
    }
}

spec_words! {
    /// How a picture of another shape is put on the canvas.
    #[derive(Default)]
    Fit {
        /// All of it is seen; bars where it does not reach.
        #[default]
        Contain = "contain",
        /// The canvas is filled; what hangs over is cut off.
        Cover = "cover",
        /// Pulled to the canvas's shape.
        Stretch = "stretch",
        /// All of it is seen before a blurred, larger copy of itself.
        BlurFill = "blur-fill",
    }
}

spec_words! {
    /// How one item gives way to the next.
    TransitionKind {
        /// Both are seen through each other.
        Dissolve = "dissolve",
        /// Through black.
        DipBlack = "dip-black",
        /// Through white.
        DipWhite = "dip-white",
        /// An edge that moves to the left.
        WipeLeft = "wipe-left",
        /// An edge that moves to the right.
        WipeRight = "wipe-right",
        /// An edge that moves up.
        WipeUp = "wipe-up",
        /// An edge that moves down.
        WipeDown = "wipe-down",
        /// The next slides over to the left.
        SlideLeft = "slide-left",
        /// The next slides over to the right.
        SlideRight = "slide-right",
        /// The next slides over upwards.
        SlideUp = "slide-up",
        /// The next slides over downwards.
        SlideDown = "slide-down",
        /// The next pushes the last out to the left.
        PushLeft = "push-left",
        /// The next pushes the last out to the right.
        PushRight = "push-right",
        /// The next pushes the last out upwards.
        PushUp = "push-up",
        /// The next pushes the last out downwards.
        PushDown = "push-down",
        /// Into the last and out of it comes the next.
        Zoom = "zoom",
        /// A circle that opens.
        CircleOpen = "circle-open",
        /// A circle that closes.
        CircleClose = "circle-close",
        /// A door that opens from the middle line.
        BarnDoor = "barn-door",
        /// The hand of a clock.
        Clock = "clock",
    }
}

spec_struct! {
    /// A transition.
    Transition {
        /// Which.
        kind: TransitionKind,
        /// How long it takes.
        length: Time,
    }
}

spec_struct! {
    /// Where a picture lies on the canvas.
    Place {
        /// Its centre, as a share of the canvas's width; 0.5 if not said.
        x: Option<Animated>,
        /// Its centre, as a share of the canvas's height; 0.5 if not said.
        y: Option<Animated>,
        /// Its size against what `fit` gives; 1 if not said.
        scale: Option<Animated>,
        /// Its turn in degrees, clockwise; 0 if not said.
        rotate: Option<Animated>,
    }
}

spec_struct! {
    /// What is cut off a source's edges before anything else, as shares of its sides.
    Crop {
        /// Off the left, as a share of the width.
        left: Option<f64>,
        /// Off the top, as a share of the height.
        top: Option<f64>,
        /// Off the right, as a share of the width.
        right: Option<f64>,
        /// Off the bottom, as a share of the height.
        bottom: Option<f64>,
    }
}

spec_struct! {
    /// Something that is shown for a while. Exactly one of `asset`, `colour` and `title` says what.
    VideoItem {
        /// The asset that is shown.
        asset: Option<String>,
        /// A plain colour.
        colour: Option<Rgb>,
        /// A text.
        title: Option<Title>,
        /// Where in the asset it starts; at its start if not said.
        from: Option<Time>,
        /// Where in the asset it ends (the first point that does not belong to it); at its end if
        /// neither this nor `length` is said.
        to: Option<Time>,
        /// How long it is shown, instead of `to`; needed for images, colours, titles and still frames.
        length: Option<Time>,
        /// When it starts; behind the item before it if not said.
        at: Option<Time>,
        /// How long after the item before it, instead of `at`.
        after: Option<Time>,
        /// How fast the asset runs; 1 if not said.
        speed: Option<f64>,
        /// Whether the asset runs backwards.
        reverse: Option<bool>,
        /// Whether at another speed a frame is all pictures that it stands for, blended; otherwise it
        /// is the one shown when it begins.
        blend: Option<bool>,
        /// Shows only the frame at `from`, for `length`.
        freeze: Option<bool>,
        /// How it is put on the canvas; `contain` if not said.
        fit: Option<Fit>,
        /// The point of the picture that `cover` keeps in view, as shares of its width and height;
        /// its middle if not said.
        focus: Option<Focus>,
        /// What is cut off the source's edges.
        crop: Option<Crop>,
        /// Where it lies.
        place: Option<Place>,
        /// 0 for unseen to 1 for solid; 1 if not said.
        opacity: Option<Animated>,
        /// What is done to its pictures, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        effects: Vec<EffectSpec>,
        /// How it comes in. Behind an item that it follows, both are seen for this long, and
        /// it starts that much earlier.
        enter: Option<Transition>,
        /// How it goes to nothing.
        exit: Option<Transition>,
        /// Whether its sound is left out.
        mute: Option<bool>,
        /// How much louder its sound is, in decibels.
        gain_db: Option<Animated>,
        /// Anything, for people and other programs.
        note: Option<Value>,
    }
}

spec_struct! {
    /// Something that is done to pictures: exactly one of these.
    EffectSpec {
        /// Blurred: the standard deviation, as a share of the canvas's shorter side.
        blur: Option<f64>,
        /// Edges brought out: 0 does nothing, 1 is strong.
        sharpen: Option<f64>,
        /// Brightness and colour.
        grade: Option<GradeSpec>,
        /// A colour table: a `.cube` file, 1D or 3D, relative to the spec's folder.
        lut: Option<String>,
        /// Darker towards the corners.
        vignette: Option<VignetteSpec>,
        /// One colour made transparent.
        chroma_key: Option<ChromaKeySpec>,
    }
}

spec_struct! {
    /// Brightness and colour.
    GradeSpec {
        /// In stops of light; 0 if not said.
        exposure: Option<f64>,
        /// Slope about middle grey; 1 if not said.
        contrast: Option<f64>,
        /// 0 for grey; 1 if not said.
        saturation: Option<f64>,
        /// In kelvin: below 6504 warmer, above colder; 6504 if not said.
        temperature: Option<f64>,
    }
}

spec_struct! {
    /// Darker towards the corners.
    VignetteSpec {
        /// Share that the corners lose; 0.5 if not said.
        amount: Option<f64>,
        /// Where it begins, as a share of the way from the middle to a corner; 0.5 if not said.
        radius: Option<f64>,
    }
}

spec_struct! {
    /// One colour made transparent.
    ChromaKeySpec {
        /// The colour of the cloth; #00b140 if not said.
        colour: Option<Rgb>,
        /// Distance of colours up to which all is transparent; 0.12 if not said.
        tolerance: Option<f64>,
        /// Further distance over which they become opaque; 0.08 if not said.
        softness: Option<f64>,
        /// How much of the cloth's colour is taken from what stays; 0.5 if not said.
        despill: Option<f64>,
    }
}

spec_words! {
    /// How lines of text stand to each other.
    #[derive(Default)]
    Align {
        /// At the left.
        Left = "left",
        /// In the middle.
        #[default]
        Centre = "centre",
        /// At the right.
        Right = "right",
    }
}

spec_words! {
    /// The part of the canvas that text keeps to.
    #[derive(Default)]
    Safe {
        /// A twentieth is left free on each side (EBU R 95).
        #[default]
        Title = "title",
        /// What players on phones leave free of an upright film.
        Phone = "phone",
        /// All of it.
        None = "none",
    }
}

spec_struct! {
    /// A line around letters.
    Outline {
        /// Its width, as a share of the text's size; 0.06 if not said.
        width: Option<f64>,
        /// Its colour; black if not said.
        colour: Option<Rgb>,
    }
}

spec_struct! {
    /// A shadow of letters.
    TextShadow {
        /// How far it lies to the right, as a share of the text's size; 0.05 if not said.
        x: Option<f64>,
        /// How far it lies down, as a share of the text's size; 0.05 if not said.
        y: Option<f64>,
        /// How soft it is, as a share of the text's size; 0.05 if not said.
        blur: Option<f64>,
        /// Its colour; half black if not said.
        colour: Option<Rgb>,
    }
}

spec_struct! {
    /// A box behind text.
    TextBox {
        /// How far it reaches past the text, as a share of the text's size; 0.3 if not said.
        padding: Option<f64>,
        /// Radius of its corners, as a share of the text's size; 0.2 if not said.
        radius: Option<f64>,
        /// Its colour; two thirds black if not said.
        colour: Option<Rgb>,
    }
}

spec_struct! {
    /// How text looks.
    TextLook {
        /// The font's family; DejaVu Sans if not said.
        family: Option<String>,
        /// Its size (the em), as a share of the canvas's shorter side; 0.06 if not said.
        size: Option<f64>,
        /// 100 to 900; 700 (bold) if not said.
        weight: Option<u32>,
        /// Whether it leans.
        italic: Option<bool>,
        /// Of the letters; white if not said.
        colour: Option<Rgb>,
        /// A line around the letters; none if not said.
        outline: Option<Outline>,
        /// A shadow; none if not said.
        shadow: Option<TextShadow>,
        /// A box behind it; none if not said.
        r#box: Option<TextBox>,
        /// How its lines stand to each other; `centre` if not said.
        align: Option<Align>,
        /// From one line to the next, in sizes; 1.2 if not said.
        line_height: Option<f64>,
    }
}

spec_struct! {
    /// A text on the canvas.
    Title {
        /// The text; line ends break lines, and lines that are too long are broken.
        text: String,
        /// How it looks.
        look: Option<TextLook>,
        /// Where it stands in the safe area: 0 for its left edge to 1 for its right; 0.5 if not said.
        x: Option<f64>,
        /// Where it stands in the safe area: 0 for its top to 1 for its bottom; 0.5 if not said.
        y: Option<f64>,
        /// The part of the canvas that it keeps to; `title` if not said.
        safe: Option<Safe>,
    }
}

spec_words! {
    /// Whose look captions have.
    CaptionStyles {
        /// That of the file, as far as it has one.
        File = "file",
        /// That of the edit; the file gives words and times.
        Plain = "plain",
    }
}

spec_struct! {
    /// Captions from a file.
    CaptionSpec {
        /// A transcript (`rushes transcribe --format json`), SRT, WebVTT or ASS, relative to the
        /// spec's folder.
        file: String,
        /// The asset whose times they have: they are shown where and when that is shown. Without it
        /// they have the programme's.
        asset: Option<String>,
        /// Whose look they have. If not said: the file's where it has styles of its own (ASS; SRT and
        /// WebVTT with marks or places) and the edit says nothing of looks, words' colours and places.
        styles: Option<CaptionStyles>,
        /// How they look.
        look: Option<TextLook>,
        /// Words that are to come, where words have times; as `look` if not said.
        upcoming: Option<Rgb>,
        /// The word that is being said; as `look` if not said.
        active: Option<Rgb>,
        /// How much larger it is; 1 if not said.
        active_scale: Option<f64>,
        /// Words that were said; as `look` if not said.
        said: Option<Rgb>,
        /// As a title's; 0.5 if not said.
        x: Option<f64>,
        /// As a title's; 1, at the bottom, if not said.
        y: Option<f64>,
        /// The part of the canvas that they keep to; `title` if not said.
        safe: Option<Safe>,
        /// Columns of a line of a transcript's captions; 42 if not said.
        columns: Option<u32>,
        /// Lines of a transcript's caption; 2 if not said.
        lines: Option<u32>,
    }
}

spec_struct! {
    /// A point of a picture.
    Focus {
        /// As a share of the width.
        x: Animated,
        /// As a share of the height.
        y: Animated,
        /// Whether the cut of a film that covers the canvas follows what draws the eye instead; the
        /// point is where it stays when nothing does.
        follow: Option<bool>,
    }
}

spec_struct! {
    /// Sounds one after the other.
    AudioTrack {
        /// A name, for people.
        name: Option<String>,
        /// In order of time.
        #[serde(default)]
        items: Vec<AudioItem>,
        /// How much louder the track is, in decibels.
        gain_db: Option<f64>,
        /// Whether the track gives way while somebody speaks in the items of video tracks: by their
        /// captions' times, or all the time that an item without captions is heard.
        duck: Option<Duck>,
    }
}

spec_struct! {
    /// How a track gives way to others.
    Duck {
        /// By how many decibels it goes down; 12 if not said.
        by_db: Option<f64>,
        /// How long it takes to go down; 0.2 s if not said.
        attack: Option<Time>,
        /// How long it takes to come back; 0.5 s if not said.
        release: Option<Time>,
    }
}

spec_struct! {
    /// Something that is heard for a while.
    AudioItem {
        /// The asset that is heard.
        asset: String,
        /// Where in the asset it starts; at its start if not said.
        from: Option<Time>,
        /// Where in the asset it ends; at its end if neither this nor `length` is said.
        to: Option<Time>,
        /// How long it is heard, instead of `to`.
        length: Option<Time>,
        /// When it starts; behind the item before it if not said.
        at: Option<Time>,
        /// How long after the item before it, instead of `at`.
        after: Option<Time>,
        /// How much louder it is, in decibels.
        gain_db: Option<Animated>,
        /// How long it takes to come up.
        fade_in: Option<Time>,
        /// How long it takes to go away.
        fade_out: Option<Time>,
        /// From -1 for left to 1 for right; 0 if not said.
        pan: Option<f64>,
        /// Anything, for people and other programs.
        note: Option<Value>,
    }
}

spec_struct! {
    /// What is done to the whole sound.
    #[derive(Default)]
    Sound {
        /// Its loudness in LUFS (EBU R128), e.g. -16; as it comes if not said.
        loudness: Option<f64>,
        /// Its highest true peak in dBTP; -1 if not said.
        true_peak: Option<f64>,
    }
}

spec_words! {
    /// A container.
    Container {
        /// MP4, its index at the front.
        Mp4 = "mp4",
        /// QuickTime.
        Mov = "mov",
        /// Matroska.
        Mkv = "mkv",
        /// WebM.
        Webm = "webm",
        /// An animated GIF of 256 colours a frame, without sound.
        Gif = "gif",
        /// An animated WebP, without sound.
        Webp = "webp",
    }
}

spec_words! {
    /// How pictures are coded.
    VideoCodec {
        /// H.264 (x264).
        H264 = "h264",
        /// H.265 (x265).
        Hevc = "hevc",
        /// VP9 (libvpx).
        Vp9 = "vp9",
        /// AV1 (SVT-AV1).
        Av1 = "av1",
        /// Apple ProRes.
        Prores = "prores",
    }
}

spec_words! {
    /// How sound is coded.
    AudioCodec {
        /// AAC-LC.
        Aac = "aac",
        /// Opus.
        Opus = "opus",
        /// FLAC, 16 bit.
        Flac = "flac",
    }
}

spec_struct! {
    /// How pictures are coded.
    #[derive(Default)]
    VideoSettings {
        /// The codec; by the container if not said.
        codec: Option<VideoCodec>,
        /// Constant quality: lower is better and larger. 0 to 51 for H.264 and HEVC, 0 to 63 for
        /// VP9 and AV1.
        crf: Option<f64>,
        /// Mean bits a second, e.g. 5000000, instead of `crf`.
        bitrate: Option<u32>,
        /// 2 looks at everything first and divides the bits of `bitrate` by what needs them (H.264
        /// only); 1 if not said.
        passes: Option<u32>,
        /// Most bits a second, over what `bufsize` holds.
        maxrate: Option<u32>,
        /// Bits of the buffer that `maxrate` fills; two seconds of it if not said.
        bufsize: Option<u32>,
        /// The encoder's effort: x264's and x265's names, or 0 to 13 for AV1, 0 to 8 for VP9.
        preset: Option<String>,
        /// Most frames from one keyframe to the next.
        gop: Option<u32>,
        /// Bits of a component: 8 or 10.
        depth: Option<u32>,
    }
}

spec_struct! {
    /// How sound is coded.
    #[derive(Default)]
    AudioSettings {
        /// The codec; by the container if not said.
        codec: Option<AudioCodec>,
        /// Bits a second.
        bitrate: Option<u32>,
    }
}

spec_struct! {
    /// A file to make.
    #[derive(Default)]
    Output {
        /// A destination (`vertical-short`, `square`, `1080p`, `4k`): what is not said here is as it
        /// has it. The canvas must have its size.
        preset: Option<String>,
        /// Its name, relative to the spec's folder; `-o` goes before it.
        file: Option<String>,
        /// Its container; by the file's extension if not said.
        container: Option<Container>,
        /// How pictures are coded.
        video: Option<VideoSettings>,
        /// How sound is coded.
        audio: Option<AudioSettings>,
        /// Whether whole groups of pictures are copied where nothing changes them; `true` if not
        /// said.
        copy: Option<bool>,
    }
}
