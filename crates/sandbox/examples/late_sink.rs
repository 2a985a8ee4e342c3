//! Takes all mail on a loopback port and answers some milliseconds after each final dot, as a host across the world
//! would: `late_sink ADDRESS MILLISECONDS`. It keeps nothing.

use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("late_sink ADDRESS MILLISECONDS")?;
    let wait = Duration::from_millis(arguments.next().ok_or("late_sink ADDRESS MILLISECONDS")?.parse()?);
    let listener = TcpListener::bind(&address).await?;
    loop {
        let (line, _) = listener.accept().await?;
        tokio::spawn(async move {
            // Whoever hangs up is gone.
            let _ = serve(line, wait).await;
        });
    }
}

async fn serve(line: TcpStream, wait: Duration) -> std::io::Result<()> {
    line.set_nodelay(true)?;
    let mut line = BufReader::with_capacity(64 * 1024, line);
    line.write_all(b"220 late.example\r\n").await?;
    let (mut text, mut is_data) = (Vec::new(), false);
    loop {
        text.clear();
        if line.read_until(b'\n', &mut text).await? == 0 {
            return Ok(());
        }
        if is_data {
            if text != b".\r\n" {
                continue;
            }
            is_data = false;
            tokio::time::sleep(wait).await;
        }
        let answer: &[u8] = match text.get(..4).unwrap_or_default() {
            b"EHLO" => b"250-late.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            b"DATA" => {
                is_data = true;
                b"354 go on\r\n"
            }
            b"QUIT" => return line.write_all(b"221 bye\r\n").await,
            _ => b"250 ok\r\n",
        };
        line.write_all(answer).await?;
    }
}
