/// Reads one pickle, a small program that builds Python values on a stack, as plain values.
///
/// The opcodes are those of Python's `pickletools`, protocols 0 to 5. What a pickle would call is looked at, never
/// called: what `torch.save` writes becomes tensors and dictionaries, anything else a ``PickleRecord``. Time and memory
/// are bounded by a multiple of the pickle's size (``spend(_:)``).
struct PickleReader {
  typealias Reference = PickleValue.Reference

  var graph = PickleGraph()
  /// The storages that the pickle refers to, by key.
  private(set) var storages: [String: StoredElements] = [:]
  /// Where the pickle ends.
  var end: Int { reader.position }

  private var reader: ByteReader
  private var stack: [Reference] = []
  private var marks: [Int] = []
  private var memo: [Reference] = []
  // Places that were left open before, which no writer of pickles does.
  private var sparseMemo: [Int: Reference] = [:]
  private var budget: Int

  /// Values that a pickle may make, keep and recall for each of its bytes; `torch.save` needs less than one.
  private static let valuesPerByte = 16
  /// The most of them, which is enough for a hundred thousand tensors.
  private static let valueLimit = 8_000_000
  /// Bytes of a class's name, or of an integer.
  private static let lengthLimit = 1000

  /// Reads the pickle that starts with the first byte of `reader`.
  init(_ reader: ByteReader) throws {
    self.reader = reader
    // The least is for pickles that are too small to hurt.
    budget = min(
      Self.valueLimit, 1024 + min(reader.remaining, Self.valueLimit) * Self.valuesPerByte)
    while try step(try self.reader.byte()) {}
  }

  /// The error for a pickle that breaks a rule.
  func broken(_ problem: String) -> CheckpointError {
    reader.source.broken("its pickle \(problem), at byte \(reader.position)")
  }

  /// Pays for values to be made, so that repeated sharing cannot multiply a small file into much memory.
  mutating func spend(_ values: Int) throws {
    guard values <= budget else { throw broken("makes more values than a file of its size should") }
    budget -= values
  }

  private mutating func step(_ opcode: UInt8) throws -> Bool {
    switch Unicode.Scalar(opcode) {
    case ".":
      graph.root = try pop()
      return false
    case "\u{80}":
      let version = try reader.byte()
      guard version <= 5 else { throw broken("has the protocol \(version), and 5 is the last known") }
    case "\u{95}": try reader.skip(8)
    case "(":
      try spend(1)
      marks.append(stack.count)
    case "0": if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
    case "1": _ = try popToMark()
    case "2":
      try spend(1)
      stack.append(try top())
    case "N", "\u{88}", "\u{89}", "I", "J", "K", "M", "L", "\u{8a}", "\u{8b}", "F", "G":
      try push(try number(opcode))
    case "S", "T", "U", "V", "X", "\u{8c}", "\u{8d}", "B", "C", "\u{8e}", "\u{96}":
      try push(try string(opcode))
    case ")", "t", "\u{85}", "\u{86}", "\u{87}", "]", "l", "}", "d", "\u{8f}", "\u{91}":
      try push(try collection(opcode))
    case "a", "e", "\u{90}", "s", "u": try fill(opcode)
    case "p", "q", "r", "\u{94}", "g", "h", "j": try remember(opcode)
    case "c", "\u{93}", "i", "o", "R", "\u{81}", "\u{92}", "b": try make(opcode)
    case "Q":
      let identifier = try pop()
      stack.append(try persistent(identifier))
    default:
      throw broken("has the instruction 0x\(String(opcode, radix: 16)), which torch.save never writes")
    }
    return true
  }
}

extension PickleReader {
  private mutating func push(_ value: PickleValue) throws {
    try spend(1)
    stack.append(graph.append(value))
  }

  private func top() throws -> Reference {
    guard let last = stack.last, stack.count > marks.last ?? 0 else {
      throw broken("takes from an empty stack")
    }
    return last
  }

  private mutating func pop() throws -> Reference {
    let last = try top()
    stack.removeLast()
    return last
  }

  private mutating func popToMark() throws -> [Reference] {
    guard let mark = marks.popLast() else { throw broken("takes up to a mark that is not there") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private mutating func popPairs() throws -> [PickleValue.Pair] {
    let items = try popToMark()
    guard items.count.isMultiple(of: 2) else { throw broken("has a key without a value") }
    return stride(from: 0, to: items.count, by: 2).map { .init(key: items[$0], value: items[$0 + 1]) }
  }
}

extension PickleReader {
  private mutating func number(_ opcode: UInt8) throws -> PickleValue {
    switch Unicode.Scalar(opcode) {
    case "N": return .none
    case "\u{88}": return .bool(true)
    case "\u{89}": return .bool(false)
    case "J": return .integer(Int(try reader.integer(Int32.self)))
    case "K": return .integer(Int(try reader.byte()))
    case "M": return .integer(Int(try reader.integer(UInt16.self)))
    case "\u{8a}": return try integer(byteCount: Int(try reader.byte()))
    case "\u{8b}": return try integer(byteCount: try reader.size(Int32.self))
    case "G":
      var bits: UInt64 = 0
      for byte in try reader.bytes(8) { bits = bits << 8 | UInt64(byte) }
      return .float(Double(bitPattern: bits))
    case "F":
      guard let value = Double(try ascii()) else { throw broken("has a number that is none") }
      return .float(value)
    default:
      let digits = try ascii()
      if digits == "00" || digits == "01" { return .bool(digits == "01") }
      let text = digits.hasSuffix("L") ? String(digits.dropLast()) : digits
      if let value = Int(text) { return .integer(value) }
      guard text.drop(while: { $0 == "-" }).allSatisfy(\.isNumber) else {
        throw broken("has an integer that is none")
      }
      return .largeInteger(text)
    }
  }

  /// An integer in two's complement, least byte first.
  private mutating func integer(byteCount: Int) throws -> PickleValue {
    guard byteCount <= Self.lengthLimit else { throw broken("has an integer of \(byteCount) bytes") }
    let bytes = try reader.bytes(byteCount)
    guard bytes.count > 8 else {
      let sign: Int = (bytes.last ?? 0) >= 0x80 ? -1 : 0
      return .integer(bytes.reversed().reduce(sign) { $0 << 8 | Int($1) })
    }
    return .largeInteger(
      "0x" + bytes.reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
  }

  private mutating func ascii() throws -> String { String(decoding: try reader.line(), as: UTF8.self) }

  private mutating func string(_ opcode: UInt8) throws -> PickleValue {
    switch Unicode.Scalar(opcode) {
    case "S": return .text(Self.unescaped(try ascii().dropFirst().dropLast()))
    case "V": return .text(Self.unescaped(try ascii()[...]))
    case "T": return .text(try text(try reader.size(Int32.self)))
    case "U", "\u{8c}": return .text(try text(Int(try reader.byte())))
    case "X": return .text(try text(try reader.size(UInt32.self)))
    case "\u{8d}": return .text(try text(try reader.size(UInt64.self)))
    case "C": return .bytes(try reader.bytes(Int(try reader.byte())))
    case "B": return .bytes(try reader.bytes(try reader.size(UInt32.self)))
    default: return .bytes(try reader.bytes(try reader.size(UInt64.self)))
    }
  }

  /// Half a surrogate pair, which Python can pickle, becomes a replacement character.
  private mutating func text(_ count: Int) throws -> String {
    String(decoding: try reader.bytes(count), as: UTF8.self)
  }

  /// A text without Python's escapes by number; others are rare enough to stay as they are written.
  private static func unescaped(_ text: Substring) -> String {
    guard text.contains("\\") else { return String(text) }
    var result = ""
    var rest = text[...]
    while let character = rest.popFirst() {
      let width =
        switch (character, rest.first) {
        case ("\\", "x"): 2
        case ("\\", "u"): 4
        case ("\\", "U"): 8
        default: 0
        }
      let digits = rest.dropFirst().prefix(width)
      if width > 0, digits.count == width, let code = UInt32(digits, radix: 16),
        let scalar = Unicode.Scalar(code)
      {
        result.unicodeScalars.append(scalar)
        rest = rest.dropFirst(1 + width)
      } else {
        result.append(character)
      }
    }
    return result
  }
}

extension PickleReader {
  private mutating func collection(_ opcode: UInt8) throws -> PickleValue {
    switch Unicode.Scalar(opcode) {
    case ")": return graph.makeTuple([])
    case "t": return graph.makeTuple(try popToMark())
    case "\u{85}": return graph.makeTuple(CollectionOfOne(try pop()))
    case "\u{86}":
      let second = try pop()
      return graph.makeTuple([try pop(), second])
    case "\u{87}":
      let (third, second) = (try pop(), try pop())
      return graph.makeTuple([try pop(), second, third])
    case "]": return graph.makeList([])
    case "l": return graph.makeList(try popToMark())
    case "}": return graph.makeDictionary([])
    case "d": return graph.makeDictionary(try popPairs())
    case "\u{8f}": return graph.makeSet([])
    default: return graph.makeSet(try popToMark())
    }
  }

  private mutating func fill(_ opcode: UInt8) throws {
    switch Unicode.Scalar(opcode) {
    case "a":
      let item = try pop()
      try append(CollectionOfOne(item))
    case "s":
      let value = try pop()
      let key = try pop()
      try insert(CollectionOfOne(PickleValue.Pair(key: key, value: value)))
    case "u": try insert(try popPairs())
    default: try append(try popToMark())
    }
  }

  private mutating func append(_ items: some Collection<Reference>) throws {
    let target = try top()
    if graph.append(items, to: target) { return }
    // An object that is a list in disguise means nothing here, nor does what it holds.
    guard case .record = graph[target] else { throw broken("appends to what is no list") }
  }

  private mutating func insert(_ pairs: some Collection<PickleValue.Pair>) throws {
    let target = try top()
    guard graph.insert(pairs, into: target) else {
      throw broken("puts a key into what is no dictionary")
    }
  }

  private mutating func remember(_ opcode: UInt8) throws {
    switch Unicode.Scalar(opcode) {
    case "p": try keep(try top(), at: try index())
    case "q": try keep(try top(), at: Int(try reader.byte()))
    case "r": try keep(try top(), at: try reader.size(UInt32.self))
    case "\u{94}": try keep(try top(), at: memo.count + sparseMemo.count)
    case "g": try recall(try index())
    case "h": try recall(Int(try reader.byte()))
    default: try recall(try reader.size(UInt32.self))
    }
  }

  private mutating func keep(_ value: Reference, at index: Int) throws {
    try spend(1)
    if index == memo.count {
      memo.append(value)
    } else if index < memo.count {
      memo[index] = value
    } else {
      sparseMemo[index] = value
    }
  }

  private mutating func index() throws -> Int {
    guard let index = Int(try ascii()), index >= 0 else { throw broken("has an index that is no number") }
    return index
  }

  private mutating func recall(_ index: Int) throws {
    guard let value = index < memo.count ? memo[index] : sparseMemo[index] else {
      throw broken("recalls the value \(index), which it never kept")
    }
    try spend(1)
    stack.append(value)
  }
}

extension PickleReader {
  private mutating func make(_ opcode: UInt8) throws {
    switch Unicode.Scalar(opcode) {
    case "c":
      let module = try ascii()
      try push(.global(try name(module, try ascii())))
    case "\u{93}":
      guard case .text(let name) = graph[try pop()], case .text(let module) = graph[try pop()] else {
        throw broken("names a class by something other than texts")
      }
      try push(.global(try self.name(module, name)))
    case "i":
      let module = try ascii()
      let callee = graph.append(.global(try name(module, try ascii())))
      let arguments = graph.append(graph.makeTuple(try popToMark()))
      try spend(2)
      stack.append(try call(callee, arguments))
    case "o":
      let items = try popToMark()
      guard let callee = items.first else { throw broken("makes an object of no class") }
      try spend(1)
      stack.append(try call(callee, graph.append(graph.makeTuple(items.dropFirst()))))
    case "\u{92}":
      _ = try pop()
      fallthrough
    case "R", "\u{81}":
      let arguments = try pop()
      let callee = try pop()
      stack.append(try call(callee, arguments))
    default:
      let state = try pop()
      // Only such an object shows its state; what a dictionary's or a tensor's is does not matter here.
      if case .record(var record) = graph[try top()] {
        record.state = state
        graph[try top()] = .record(record)
      }
    }
  }

  private mutating func name(_ module: String, _ name: String) throws -> String {
    guard module.utf8.count + name.utf8.count <= Self.lengthLimit else {
      throw broken("names a class by more than \(Self.lengthLimit) bytes")
    }
    // Short names repeated are as many texts.
    try spend((module.utf8.count + name.utf8.count) / 8)
    return "\(module).\(name)"
  }

  /// What a persistent identifier of `torch.save` stands for: a storage, or in old files a module's own object.
  private mutating func persistent(_ identifier: Reference) throws -> Reference {
    guard case .tuple = graph[identifier], let items = graph.elements(identifier).map(Array.init),
      let first = items.first, case .text(let kind) = graph[first]
    else { throw broken("refers to data outside of itself in an unknown way") }
    if kind == "module", items.count > 1 { return items[1] }
    guard kind == "storage", items.count >= 5, case .global(let name) = graph[items[1]],
      case .text(let key) = graph[items[2]], case .integer(let count) = graph[items[4]], count >= 0
    else { throw broken("refers to data outside of itself in an unknown way") }
    guard let element = ElementType(storageClass: name) else {
      throw broken("has elements of the unknown type \(name.prefix(100))")
    }
    guard !count.multipliedReportingOverflow(by: element.byteCount).overflow else {
      throw broken("has a storage too large to count")
    }
    var view = 0..<count
    if items.count > 5, case .tuple = graph[items[5]] {
      let part = graph.elements(items[5]).map(Array.init) ?? []
      guard part.count == 3, case .integer(let start) = graph[part[1]],
        case .integer(let size) = graph[part[2]],
        (0...count).contains(start), (0...count - start).contains(size)
      else { throw broken("has a part of a storage that reaches outside of it") }
      view = start..<start + size
    }
    let elements = StoredElements(key: key, element: element, count: count, view: view)
    if let known = storages[key], known.element != element || known.count != count {
      throw broken("describes the storage '\(key.prefix(100))' in two ways")
    }
    storages[key] = elements
    try spend(4)
    return graph.append(.storage(elements))
  }
}
