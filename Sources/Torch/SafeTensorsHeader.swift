/// The header of a safetensors file: parsed strictly and checked against the size of the data.
///
/// A parser of its own because a general one drops what has to be seen here: repeated names and their order.
struct SafeTensorsHeader {
  /// A rule of the format that the header breaks.
  struct Violation: Error {
    let key: String?
    let problem: String
  }

  private(set) var entries: [SafeTensors.Entry] = []
  private(set) var positions: [String: Int] = [:]
  private(set) var metadata: [String: String] = [:]

  /// LibTorch's own limit.
  static let rankLimit = 64

  init(_ bytes: [UInt8], dataCount: Int) throws(Violation) {
    var scanner = HeaderScanner(bytes)
    var hasMetadata = false
    try scanner.expect("{", "at the start of the header")
    var isFirst = true
    while try scanner.nextMember(&isFirst) {
      let name = try scanner.string()
      try scanner.expect(":", "after the name '\(name.prefix(200))'")
      if name == Self.metadataName {
        if hasMetadata { throw Violation(key: nil, problem: "'__metadata__' stands in the header twice") }
        hasMetadata = true
        metadata = try Self.texts(&scanner)
      } else {
        let entry = try Self.entry(name, &scanner)
        guard positions.updateValue(entries.count, forKey: name) == nil else {
          throw Violation(key: name, problem: "stands in the header twice")
        }
        entries.append(entry)
      }
    }
    try scanner.expectEnd()
    try checkCoverage(dataCount)
  }

  static let metadataName = "__metadata__"

  private static func texts(_ scanner: inout HeaderScanner) throws(Violation) -> [String: String] {
    var texts: [String: String] = [:]
    try scanner.expect("{", "at the start of '__metadata__'")
    var isFirst = true
    while try scanner.nextMember(&isFirst) {
      let name = try scanner.string()
      try scanner.expect(":", "after the name '\(name.prefix(200))' in '__metadata__'")
      guard texts.updateValue(try scanner.string(), forKey: name) == nil else {
        throw Violation(key: nil, problem: "'\(name.prefix(200))' stands in '__metadata__' twice")
      }
    }
    return texts
  }

  private static func entry(
    _ name: String, _ scanner: inout HeaderScanner
  ) throws(Violation) -> SafeTensors.Entry {
    do {
      return try fields(name, &scanner)
    } catch {
      throw Violation(key: name, problem: error.problem)
    }
  }

  private static func fields(
    _ name: String, _ scanner: inout HeaderScanner
  ) throws(Violation) -> SafeTensors.Entry {
    var typeName: String?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.expect("{", "at the start of the tensor's description")
    var isFirst = true
    while try scanner.nextMember(&isFirst) {
      let field = try scanner.string()
      try scanner.expect(":", "after '\(field.prefix(200))'")
      let isRepeated =
        switch field {
        case "dtype": typeName != nil
        case "shape": shape != nil
        case "data_offsets": offsets != nil
        default: throw Violation(key: name, problem: "has an unknown field '\(field.prefix(200))'")
        }
      if isRepeated { throw Violation(key: name, problem: "has the field '\(field)' twice") }
      switch field {
      case "dtype": typeName = try scanner.string()
      case "shape": shape = try scanner.integers(limit: rankLimit, "dimensions")
      default: offsets = try scanner.integers(limit: 2, "offsets")
      }
    }
    guard let typeName, let shape, let offsets else {
      let missing = [
        typeName == nil ? "dtype" : nil, shape == nil ? "shape" : nil, offsets == nil ? "data_offsets" : nil,
      ]
      throw Violation(key: name, problem: "lacks '\(missing.compactMap(\.self).joined(separator: "', '"))'")
    }
    guard let dtype = DType(safeTensorsName: typeName) else {
      let known = DType.allCases.map(\.safeTensorsName).joined(separator: ", ")
      throw Violation(
        key: name, problem: "has the element type '\(typeName.prefix(40))', and known are \(known)")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw Violation(key: name, problem: "needs two offsets in order, got \(offsets)")
    }
    guard let size = byteCount(shape, dtype) else {
      throw Violation(key: name, problem: "has a shape too large to count, \(shape)")
    }
    guard size == offsets[1] - offsets[0] else {
      throw Violation(
        key: name,
        problem:
          "needs \(size) bytes for the shape \(shape) of \(dtype), and its offsets span \(offsets[1] - offsets[0])"
      )
    }
    return .init(name: name, dtype: dtype, shape: shape, byteRange: offsets[0]..<offsets[1])
  }

  /// The bytes of a tensor; `nil` where the count or a stride overflows.
  private static func byteCount(_ shape: [Int], _ dtype: DType) -> Int? {
    var bytes = dtype.byteCount
    for size in shape {
      // An empty dimension takes part in the strides as 1.
      let (product, overflow) = bytes.multipliedReportingOverflow(by: max(size, 1))
      if overflow { return nil }
      bytes = product
    }
    return shape.contains(0) ? 0 : bytes
  }

  private func checkCoverage(_ dataCount: Int) throws(Violation) {
    var end = 0
    for entry in entries.sorted(by: {
      ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
    }) {
      guard entry.byteRange.upperBound <= dataCount else {
        throw Violation(
          key: entry.name,
          problem: "ends at byte \(entry.byteRange.upperBound) of the data, and the file has \(dataCount)")
      }
      guard entry.byteRange.lowerBound == end else {
        let fault =
          entry.byteRange.lowerBound < end ? "overlaps the tensor before it" : "leaves a gap before it"
        throw Violation(
          key: entry.name,
          problem: "\(fault): it starts at byte \(entry.byteRange.lowerBound), expected \(end)")
      }
      end = entry.byteRange.upperBound
    }
    guard end == dataCount else {
      throw Violation(
        key: nil, problem: "the tensors fill \(end) bytes of data, and the file has \(dataCount)")
    }
  }
}

extension DType {
  /// The format's name of the type.
  var safeTensorsName: String {
    switch self {
    case .float64: "F64"
    case .float32: "F32"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .int64: "I64"
    case .int32: "I32"
    case .int16: "I16"
    case .int8: "I8"
    case .uint8: "U8"
    case .bool: "BOOL"
    }
  }

  init?(safeTensorsName name: String) {
    guard let match = DType.allCases.first(where: { $0.safeTensorsName == name }) else { return nil }
    self = match
  }
}
