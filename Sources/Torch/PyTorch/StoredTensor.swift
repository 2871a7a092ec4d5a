/// The elements that several tensors of a file may share.
struct StoredElements: Equatable, Sendable {
  /// The storage's name in the file.
  let key: String
  /// The type of the elements.
  let element: ElementType
  /// How many elements the whole storage has.
  let count: Int
  /// The part of the storage that tensors here see, in elements.
  let view: Range<Int>

  /// The bytes of the whole storage.
  var byteCount: Int { count * element.byteCount }
}

/// A tensor as a file describes it: which elements of which storage, in which order.
struct StoredTensor: Equatable, Sendable {
  /// The name of the storage.
  let storage: String
  /// The type of the elements.
  let element: ElementType
  /// Where the first element lies, in elements from the start of the storage.
  let offset: Int
  /// The sizes.
  let shape: [Int]
  /// The steps from one element to the next in each dimension, in elements.
  let strides: [Int]
  /// Why the elements cannot be read, as the end of a sentence that starts with the tensor's name; `nil` if they can.
  let obstacle: String?

  /// LibTorch's own limit.
  static let rankLimit = 64

  /// The number of elements.
  var count: Int { shape.reduce(1, *) }

  /// The bytes of all elements.
  var byteCount: Int { count * element.byteCount }

  /// The elements of the storage from the first to the last that the tensor has.
  var span: Range<Int> {
    if shape.contains(0) { return offset..<offset }
    return offset..<zip(shape, strides).reduce(offset) { $0 + ($1.0 - 1) * $1.1 } + 1
  }

  /// Whether the elements lie in row-major order without gaps.
  var isContiguous: Bool {
    var expected = 1
    for (size, stride) in zip(shape, strides).reversed() where size != 1 {
      if stride != expected { return shape.contains(0) }
      expected *= size
    }
    return true
  }

  /// A tensor that is checked to lie within its storage.
  ///
  /// - Throws: the problem, as the end of a sentence that starts with the tensor.
  init(
    _ elements: StoredElements, _ element: ElementType, offset: Int, shape: [Int], strides: [Int],
    obstacle: String?
  ) throws(Violation) {
    guard shape.count == strides.count, shape.count <= Self.rankLimit else {
      throw Violation(problem: "has \(shape.count) sizes and \(strides.count) strides")
    }
    guard offset >= 0, shape.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 }) else {
      throw Violation(problem: "has negative sizes, strides or offset")
    }
    let scale = elements.element.byteCount
    // A storage without a type counts bytes, whatever the tensors are made of.
    guard scale == 1 || scale == element.byteCount else {
      throw Violation(problem: "has elements of \(element.name) in a storage of \(elements.element.name)")
    }
    guard let last = Self.last(offset, shape, strides), let size = Self.product(shape + [element.byteCount])
    else { throw Violation(problem: "has a shape too large to count") }
    let (bytes, overflow) = last.multipliedReportingOverflow(by: element.byteCount)
    guard !overflow, size == 0 || bytes <= elements.view.count * scale else {
      throw Violation(problem: "reaches outside of its storage")
    }
    let start = elements.view.lowerBound * scale
    guard start % element.byteCount == 0 else {
      throw Violation(problem: "starts within an element of its storage")
    }
    let (sum, carry) = offset.addingReportingOverflow(start / element.byteCount)
    if carry { throw Violation(problem: "reaches outside of its storage") }
    storage = elements.key
    self.element = element
    // Where nothing is read from does not matter, and need not lie in the storage.
    self.offset = size == 0 ? 0 : sum
    self.shape = shape
    self.strides = strides
    self.obstacle =
      obstacle ?? (element.dtype == nil ? "has elements of \(element.name), which this build lacks" : nil)
  }

  /// A tensor of a kind that is only listed.
  init(listed kind: String, shape: [Int]) {
    storage = ""
    element = .none
    offset = 0
    let isCountable = shape.allSatisfy { $0 >= 0 } && Self.product(shape) != nil
    self.shape = isCountable ? shape : []
    strides = []
    obstacle = "is \(kind), which this build cannot read"
  }

  /// A rule that a description breaks.
  struct Violation: Error {
    let problem: String
  }

  /// The end of the elements' span, in elements; `nil` where that overflows.
  private static func last(_ offset: Int, _ shape: [Int], _ strides: [Int]) -> Int? {
    var last = offset
    for (size, stride) in zip(shape, strides) where size > 0 {
      let (step, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      let (sum, carry) = last.addingReportingOverflow(step)
      if overflow || carry { return nil }
      last = sum
    }
    return last == .max ? nil : last + 1
  }

  /// The product of sizes, 0 counting as 1 unless all else is counted; `nil` where that overflows.
  private static func product(_ sizes: [Int]) -> Int? {
    var product = 1
    for size in sizes {
      let (next, overflow) = product.multipliedReportingOverflow(by: max(size, 1))
      if overflow { return nil }
      product = next
    }
    return sizes.contains(0) ? 0 : product
  }
}

extension StoredTensor {
  /// Puts the elements in row-major order.
  ///
  /// - Parameters:
  ///   - source: the bytes of ``span``.
  ///   - target: takes the bytes of all elements.
  func gather(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) {
    switch element.byteCount {
    case 1: gather(source.bindMemory(to: UInt8.self), target.bindMemory(to: UInt8.self))
    case 2: gather(source.bindMemory(to: UInt16.self), target.bindMemory(to: UInt16.self))
    case 4: gather(source.bindMemory(to: UInt32.self), target.bindMemory(to: UInt32.self))
    default: gather(source.bindMemory(to: UInt64.self), target.bindMemory(to: UInt64.self))
    }
  }

  private func gather<Word>(
    _ source: UnsafeBufferPointer<Word>, _ target: UnsafeMutableBufferPointer<Word>
  ) {
    guard !shape.contains(0) else { return }
    let (row, step) = (shape.last ?? 1, strides.last ?? 1)
    var index = Array(repeating: 0, count: shape.count)
    var (start, position) = (0, 0)
    while true {
      for column in 0..<row { target[position + column] = source[start + column * step] }
      position += row
      var axis = shape.count - 2
      while axis >= 0 {
        index[axis] += 1
        // Past the end of a dimension the sum may leave the range of integers, before it is taken back.
        start &+= strides[axis]
        if index[axis] < shape[axis] { break }
        start &-= shape[axis] &* strides[axis]
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }
}
