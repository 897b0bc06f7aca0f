//! Lines of English text in, the same lines made comparable out: `rushes-wer SPELLINGS.json < TEXT`.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

use rushes_benches::wer::english::English;

fn main() -> Result<(), Box<dyn Error>> {
    let table = std::env::args_os().nth(1).ok_or("usage: rushes-wer SPELLINGS.json < TEXT")?;
    let table: HashMap<String, String> =
        serde_json::from_reader(BufReader::new(File::open(table)?))?;
    let english = English::new(table)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        writeln!(out, "{}", english.normalise(&line?))?;
    }
    Ok(out.flush()?)
}
