// The objects of an answer one after the other, while it arrives. Source: RFC 2046 section 5.1, RFC 2387.

export class Refused extends Error {
  constructor(status) {
    super(`status ${status}`);
    this.status = status;
  }
}

// calls `take(bytes, type)` for each part; an answer that ends early is an error, whatever arrived
export async function parts(address, take, signal) {
  const reply = await fetch(address, { signal, cache: "no-store", redirect: "error" });
  if (!reply.ok) throw new Refused(reply.status);
  const boundary = /boundary="?([^";]+)/.exec(reply.headers.get("content-type") ?? "")?.[1];
  if (!boundary) throw new Error("not multipart");
  const splitter = new Splitter(new TextEncoder().encode(`\r\n--${boundary}`));
  const reader = reply.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const part of splitter.add(value)) await take(...headed(part));
  }
  if (!splitter.ended) throw new Error("cut");
}

function headed(part) {
  const end = find(part, [13, 10, 13, 10], 0);
  const head = new TextDecoder("latin1").decode(part.subarray(0, end));
  const type = /content-type: *([^\r;]+)/i.exec(head)?.[1] ?? "";
  // a copy of its own: numbers of 16 bits want an even place, and the rest of the answer can be let go
  return [part.slice(end + 4), type.toLowerCase()];
}

class Splitter {
  constructor(delimiter) {
    this.delimiter = delimiter;
    this.pieces = [new Uint8Array([13, 10])]; // so that the first boundary is like any other
    this.length = 2;
    this.looked = 0;
    this.begun = false;
    this.ended = false;
  }

  *add(piece) {
    this.pieces.push(piece);
    this.length += piece.length;
    for (;;) {
      // only what is new is looked at, and the little before it in which a boundary may have begun
      const from = Math.max(0, this.looked - this.delimiter.length);
      const tail = this.from(from);
      const at = find(tail, this.delimiter, 0);
      if (at < 0 || from + at + this.delimiter.length + 2 > this.length) {
        this.looked = at < 0 ? this.length : from + at;
        return;
      }
      const whole = joined(this.pieces, this.length);
      const end = from + at;
      const after = end + this.delimiter.length;
      if (this.begun) yield whole.subarray(0, end);
      this.begun = true;
      if (whole[after] === 45 && whole[after + 1] === 45) this.ended = true;
      const rest = whole.subarray(after + 2);
      this.pieces = [rest];
      this.length = rest.length;
      this.looked = 0;
      if (this.ended) return;
    }
  }

  from(start) {
    const wanted = [];
    let place = this.length;
    for (let index = this.pieces.length - 1; index >= 0 && place > start; index -= 1) {
      const piece = this.pieces[index];
      place -= piece.length;
      wanted.unshift(place < start ? piece.subarray(start - place) : piece);
    }
    return joined(wanted, this.length - start);
  }
}

function joined(pieces, length) {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function find(bytes, wanted, from) {
  for (let at = bytes.indexOf(wanted[0], from); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    let same = 1;
    while (same < wanted.length && bytes[at + same] === wanted[same]) same += 1;
    if (same === wanted.length) return at;
  }
  return -1;
}
