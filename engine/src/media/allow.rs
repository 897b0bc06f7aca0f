//! Which containers and codecs may be opened. Everything else is refused before it runs: each
//! further parser is one more place for hostile input to break. Playlists, concat scripts,
//! image sequences, network formats and devices are absent on purpose; they name other files.

/// libav demuxers that read one self-contained file, comma-separated as `format_whitelist` wants.
pub(super) const DEMUXERS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,\
live_flv,asf,mxf,ogg,wav,w64,aiff,au,caf,mp3,aac,ac3,eac3,dts,truehd,flac,amr,amrnb,amrwb,tta,ape,\
wv,h264,hevc,m4v,mpegvideo,av1,obu,ivf,gif,y4m,yuv4mpegpipe,dv,nut,g722,mpc,mpc8,tak,rm";

/// libav decoders, comma-separated as `codec_whitelist` wants. MagicYUV (CVE-2026-8461), screen
/// recorders and game codecs are left out.
pub(super) const DECODERS: &str = "h264,hevc,av1,libdav1d,libaom-av1,vp8,vp9,libvpx,libvpx-vp9,\
mpeg1video,mpeg2video,mpegvideo,mpeg4,msmpeg4,msmpeg4v1,msmpeg4v2,h263,h263p,flv,wmv1,wmv2,wmv3,vc1,\
mjpeg,prores,dnxhd,ffv1,huffyuv,ffvhuff,utvideo,rawvideo,v210,dvvideo,theora,vp6,vp6f,vp6a,gif,png,\
wrapped_avframe,vvc,\
aac,aac_fixed,aac_latm,mp1,mp1float,mp2,mp2float,mp3,mp3float,ac3,ac3_fixed,eac3,dca,truehd,mlp,\
flac,alac,vorbis,libvorbis,opus,libopus,wmav1,wmav2,wmapro,amrnb,amrwb,ape,tta,wavpack,tak,\
mpc7,mpc8,g722,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,adpcm_swf,\
pcm_u8,pcm_s8,pcm_s8_planar,pcm_s16le,pcm_s16be,pcm_s16le_planar,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,\
pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,pcm_u16le,pcm_u24le,pcm_u32le,pcm_bluray,pcm_dvd,\
subrip,srt,ass,ssa,webvtt,mov_text,text,dvdsub,dvbsub,pgssub";

/// Elementary streams: no container, so no timestamps that could be trusted for seeking.
pub(super) fn is_elementary(format: &str) -> bool {
    format
        .split(',')
        .any(|name| matches!(name, "h264" | "hevc" | "m4v" | "mpegvideo" | "av1" | "obu"))
}
