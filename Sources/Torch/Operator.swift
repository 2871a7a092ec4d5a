import CTorch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// One argument of an operator called by its schema name.
public enum Argument {
  /// The schema's own default.
  case automatic
  /// No value, for an optional argument.
  case none
  /// A tensor.
  case tensor(Tensor)
  /// An integer, or an integral scalar.
  case int(Int)
  /// A number, or a real scalar.
  case double(Double)
  /// A truth value.
  case bool(Bool)
  /// A list of integers, such as a shape.
  case ints([Int])
  /// A list of truth values.
  case bools([Bool])
  /// A list of numbers.
  case doubles([Double])
  /// A list of numbers, where the schema lets entries be absent.
  case numbers([Double])
  /// A list of tensors.
  case tensors([Tensor])
  /// A list of tensors some of which may be absent.
  case optionalTensors([Tensor?])
  /// A name, such as a reduction.
  case string(StaticString)
  /// An element type.
  case dtype(DType)
  /// A device.
  case device(Device)
  /// A source of random numbers.
  case generator(Generator)

  /// A tensor, or no value.
  public static func optional(_ tensor: Tensor?) -> Argument { tensor.map(Argument.tensor) ?? .none }
  /// An order in memory.
  public static func format(_ format: MemoryFormat) -> Argument { .int(Int(format.rawValue)) }
}

/// A LibTorch operator found by its schema name.
///
/// The typed methods of ``Tensor`` are the way to compute; this is the way to reach an operator without one.
public struct Operator: @unchecked Sendable {
  // Unchecked: an immutable entry of LibTorch's operator table that lives as long as the process.
  private let entry: OpaquePointer
  /// The schema name with its overload, for example `add.Tensor`.
  public let name: String

  /// Looks `name` up: one of ATen's, or of another library as `library::name`.
  ///
  /// - Throws: ``TorchError`` when there is no such operator in this LibTorch.
  public init(_ name: String, overload: String = "") throws {
    guard let entry = ct_find_operator(name.contains("::") ? name : "aten::" + name, overload) else {
      throw lastTorchError()
    }
    self.entry = entry
    self.name = overload.isEmpty ? name : "\(name).\(overload)"
  }

  /// An operator of the pinned version, whose absence means a wrong LibTorch.
  init(known name: String, _ overload: String = "") {
    do {
      try self.init(name, overload: overload)
    } catch {
      fatalError(
        "LibTorch \(Engine.version) lacks the operator \(name): expected \(Engine.expectedVersion). \(error)")
    }
  }

  /// Runs the operator and returns its first tensor.
  @discardableResult
  public func callAsFunction(_ arguments: Argument...) -> Tensor {
    let results = run(arguments)
    guard let first = results.first else {
      require(false, "\(name) returned no tensor")
      return .poisoned
    }
    return first
  }

  /// Runs the operator and returns all its tensors, those of lists in order.
  ///
  /// A result that LibTorch leaves undefined is left out.
  @discardableResult
  public func all(_ arguments: Argument...) -> [Tensor] { run(arguments) }

  /// Runs an operator that changes its operands and returns nothing.
  func perform(_ arguments: Argument...) { _ = run(arguments, allowEmpty: true) }

  private func run(_ arguments: [Argument], allowEmpty: Bool = false) -> [Tensor] {
    if isPoisoned { return allowEmpty ? [] : [.poisoned] }
    let words = arguments.reduce(0) { $0 + $1.wordCount }
    return withUnsafeTemporaryAllocation(of: ct_value.self, capacity: arguments.count + 1) { values in
      withUnsafeTemporaryAllocation(of: Int.self, capacity: words + 1) { arena in
        var next = 0
        for (index, argument) in arguments.enumerated() {
          values.initializeElement(at: index, to: argument.encode(into: arena, &next))
        }
        return withExtendedLifetime(arguments) { invoke(values, arguments) }
      }
    }
  }

  private func invoke(_ values: UnsafeMutableBufferPointer<ct_value>, _ arguments: [Argument]) -> [Tensor] {
    let capacity = 8
    return withUnsafeTemporaryAllocation(of: ct_value.self, capacity: capacity) { results in
      guard let output = results.baseAddress else { return [] }
      let count = ct_call(entry, values.baseAddress, Int32(arguments.count), output, Int32(capacity))
      if count < 0 {
        let operands = arguments.compactMap(\.operandSummary).joined(separator: ", ")
        require(false, "\(name)(\(operands)): \(String(cString: ct_last_error()))")
        return [.poisoned]
      }
      var tensors: [Tensor] = []
      for result in results.prefix(Int(count)) {
        if result.tag == Int32(CT_TENSOR), let pointer = result.value.pointer {
          tensors.append(Tensor(owning: OpaquePointer(pointer)))
        } else if result.tag == Int32(CT_TENSORS), let list = result.value.pointer {
          let handles = list.assumingMemoryBound(to: OpaquePointer.self)
          for index in 0..<Int(result.count) { tensors.append(Tensor(owning: handles[index])) }
          free(UnsafeMutableRawPointer(mutating: list))
        }
      }
      return tensors
    }
  }
}

extension Argument {
  fileprivate var wordCount: Int {
    switch self {
    case .ints(let values): values.count
    case .bools(let values): values.count
    case .doubles(let values), .numbers(let values): values.count
    case .tensors(let values): values.count
    case .optionalTensors(let values): values.count
    default: 0
    }
  }

  fileprivate var operandSummary: String? {
    switch self {
    case .tensor(let tensor): tensor.summary
    case .tensors(let tensors): "[" + tensors.map(\.summary).joined(separator: ", ") + "]"
    case .ints(let values): "\(values)"
    case .int(let value): "\(value)"
    case .double(let value): "\(value)"
    default: nil
    }
  }

  /// Lists go to `arena`, so that one call allocates nothing on the heap.
  fileprivate func encode(into arena: UnsafeMutableBufferPointer<Int>, _ next: inout Int) -> ct_value {
    func list(_ tag: Int, _ words: some Collection<Int>) -> ct_value {
      let start = next
      for word in words {
        arena.initializeElement(at: next, to: word)
        next += 1
      }
      let pointer = arena.baseAddress.map { UnsafeRawPointer($0 + start) }
      return ct_value(tag: Int32(tag), count: Int32(words.count), value: .init(pointer: pointer))
    }
    func scalar(_ tag: Int, _ value: ct_payload) -> ct_value {
      ct_value(tag: Int32(tag), count: 0, value: value)
    }
    switch self {
    case .automatic: return scalar(CT_DEFAULT, .init(integer: 0))
    case .none: return scalar(CT_NONE, .init(integer: 0))
    case .tensor(let tensor): return scalar(CT_TENSOR, .init(pointer: UnsafeRawPointer(tensor.pointer)))
    case .int(let value): return scalar(CT_INT, .init(integer: Int64(value)))
    case .double(let value): return scalar(CT_DOUBLE, .init(real: value))
    case .bool(let value): return scalar(CT_BOOL, .init(integer: value ? 1 : 0))
    case .ints(let values): return list(CT_INTS, values)
    case .bools(let values): return list(CT_BOOLS, values.map { $0 ? 1 : 0 })
    case .doubles(let values): return list(CT_DOUBLES, values.map { Int(bitPattern: UInt($0.bitPattern)) })
    case .numbers(let values):
      return list(CT_NUMBERS, values.map { Int(bitPattern: UInt($0.bitPattern)) })
    case .tensors(let values): return list(CT_TENSORS, values.map { Int(bitPattern: $0.pointer) })
    case .optionalTensors(let values):
      return list(CT_OPTIONAL_TENSORS, values.map { $0.map { Int(bitPattern: $0.pointer) } ?? 0 })
    case .string(let value): return scalar(CT_STRING, .init(pointer: UnsafeRawPointer(value.utf8Start)))
    case .dtype(let dtype): return scalar(CT_INT, .init(integer: Int64(dtype.rawValue)))
    case .device(let device):
      return scalar(
        CT_DEVICE, .init(integer: Int64(device.type) << 8 | Int64(UInt8(truncatingIfNeeded: device.index))))
    case .generator(let generator):
      return scalar(CT_GENERATOR, .init(pointer: UnsafeRawPointer(generator.pointer)))
    }
  }
}
