/// Reads the few JSON constructs that a safetensors header is made of.
struct HeaderScanner {
  typealias Violation = SafeTensorsHeader.Violation

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private mutating func peek() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0a, 0x0d: position += 1
      case let byte: return byte
      }
    }
    return nil
  }

  private func unexpected(_ wanted: String) -> Violation {
    let found =
      position < bytes.count
      ? "'\(Unicode.Scalar(bytes[position]).escaped(asASCII: true))'" : "the end of the header"
    return Violation(
      key: nil, problem: "its header is not valid: expected \(wanted) at byte \(position), found \(found)")
  }

  mutating func expect(_ character: Unicode.Scalar, _ place: String) throws(Violation) {
    guard peek() == UInt8(ascii: character) else { throw unexpected("'\(character)' \(place)") }
    position += 1
  }

  mutating func expectEnd() throws(Violation) {
    if peek() != nil { throw unexpected("nothing after the closing '}'") }
  }

  /// Moves to the next member of an object, over the comma; false, and past the brace, at its end.
  mutating func nextMember(_ isFirst: inout Bool) throws(Violation) -> Bool {
    try next(&isFirst, closing: "}")
  }

  private mutating func next(
    _ isFirst: inout Bool, closing: Unicode.Scalar
  ) throws(Violation) -> Bool {
    defer { isFirst = false }
    if peek() == UInt8(ascii: closing) {
      position += 1
      return false
    }
    if isFirst { return true }
    try expect(",", "or '\(closing)'")
    if peek() == UInt8(ascii: closing) { throw unexpected("a value after ','") }
    return true
  }

  /// A list of at most `limit` integers that are not negative.
  mutating func integers(limit: Int, _ noun: String) throws(Violation) -> [Int] {
    var values: [Int] = []
    try expect("[", "before a list of integers")
    var isFirst = true
    while try next(&isFirst, closing: "]") {
      if values.count == limit {
        throw Violation(key: nil, problem: "has more than \(limit) \(noun)")
      }
      values.append(try integer())
    }
    return values
  }

  private mutating func integer() throws(Violation) -> Int {
    let zero = UInt8(ascii: "0")
    guard let first = peek(), (zero...zero + 9).contains(first) else {
      throw unexpected("an integer that is not negative")
    }
    var value = 0
    var digits = 0
    while position < bytes.count, (zero...zero + 9).contains(bytes[position]) {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(Int(bytes[position] - zero))
      if overflow || carry { throw Violation(key: nil, problem: "has an integer of more than 63 bits") }
      value = sum
      digits += 1
      position += 1
    }
    if first == zero && digits > 1 {
      throw Violation(key: nil, problem: "has an integer with a leading zero")
    }
    if position < bytes.count, [".", "e", "E"].contains(Unicode.Scalar(bytes[position])) {
      throw unexpected("an integer")
    }
    return value
  }

  mutating func string() throws(Violation) -> String {
    try expect("\"", "before a text")
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        guard let string = String(validating: text, as: UTF8.self) else {
          throw Violation(key: nil, problem: "its header holds a text that is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"):
        position += 1
        text.append(contentsOf: String(try escape()).utf8)
      case 0..<0x20: throw unexpected("no control character in a text")
      default:
        text.append(byte)
        position += 1
      }
    }
    throw unexpected("'\"' at the end of a text")
  }

  private mutating func escape() throws(Violation) -> Unicode.Scalar {
    guard position < bytes.count else { throw unexpected("a character after '\\'") }
    let simple: Unicode.Scalar? =
      switch Unicode.Scalar(bytes[position]) {
      case "\"": "\""
      case "\\": "\\"
      case "/": "/"
      case "b": "\u{8}"
      case "f": "\u{c}"
      case "n": "\n"
      case "r": "\r"
      case "t": "\t"
      default: nil
      }
    if let simple {
      position += 1
      return simple
    }
    let first = try codeUnit()
    if let scalar = Unicode.Scalar(UInt32(first)) { return scalar }
    guard UTF16.isLeadSurrogate(first), position < bytes.count, bytes[position] == UInt8(ascii: "\\") else {
      throw unexpected("the second half of a surrogate pair")
    }
    position += 1
    let second = try codeUnit()
    guard UTF16.isTrailSurrogate(second) else { throw unexpected("the second half of a surrogate pair") }
    return UTF16.decode(UTF16.EncodedScalar([first, second]))
  }

  /// The four hexadecimal digits after `\u`.
  private mutating func codeUnit() throws(Violation) -> UInt16 {
    guard position + 5 <= bytes.count, bytes[position] == UInt8(ascii: "u") else {
      throw unexpected("an escape of JSON")
    }
    var value: UInt16 = 0
    for byte in bytes[position + 1..<position + 5] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw unexpected("four hexadecimal digits")
      }
      value = value << 4 | UInt16(digit)
    }
    position += 5
    return value
  }
}
