public import Foundation

extension Reference {
  /// The largest file that is read, in bytes.
  public static let sizeLimit = 256 << 20

  /// Reads and checks the file at `url`.
  ///
  /// - Throws: ``ReferenceError`` if the file cannot be read, is no JSON, or lacks or contradicts something.
  public init(contentsOf url: URL) throws(ReferenceError) {
    let path = url.path(percentEncoded: false)
    func unreadable(_ problem: String) -> ReferenceError {
      ReferenceError(path: path, problem: problem, remedy: "give the path of a reference file")
    }
    let bytes: Data
    do {
      let attributes = try url.resourceValues(forKeys: [.isRegularFileKey, .fileSizeKey])
      guard attributes.isRegularFile == true else { throw unreadable("is not a regular file") }
      let size = attributes.fileSize ?? 0
      guard size <= Self.sizeLimit else {
        throw unreadable("has \(size) bytes, and a reference file has at most \(Self.sizeLimit)")
      }
      bytes = try Data(contentsOf: url)
    } catch let error as ReferenceError {
      throw error
    } catch {
      throw unreadable("cannot be read (\(error.localizedDescription))")
    }
    do {
      self = try JSONDecoder().decode(Reference.self, from: bytes)
    } catch {
      throw Self.explain(error, path)
    }
    try validate(path)
  }

  private static func explain(_ error: any Error, _ path: String) -> ReferenceError {
    let remedy = "write the file again in the schema of the shipped references"
    guard let error = error as? DecodingError else {
      return ReferenceError(path: path, problem: "cannot be decoded (\(error))", remedy: remedy)
    }
    switch error {
    case .keyNotFound(let key, let context):
      return ReferenceError(
        path: path, key: name(context.codingPath + [key]), problem: "is missing", remedy: remedy)
    case .typeMismatch(let type, let context):
      return ReferenceError(
        path: path, key: name(context.codingPath), problem: "expected \(words(type)), got something else",
        remedy: remedy)
    case .valueNotFound(let type, let context):
      return ReferenceError(
        path: path, key: name(context.codingPath), problem: "expected \(words(type)), got null",
        remedy: remedy)
    case .dataCorrupted(let context):
      if context.codingPath.isEmpty {
        return ReferenceError(
          path: path, problem: "is not JSON, or ends too early", remedy: "download or export the file again")
      }
      return ReferenceError(
        path: path, key: name(context.codingPath), problem: context.debugDescription, remedy: remedy)
    @unknown default:
      return ReferenceError(path: path, problem: "cannot be decoded (\(error))", remedy: remedy)
    }
  }

  private static func name(_ path: [any CodingKey]) -> String? {
    if path.isEmpty { return nil }
    return path.reduce("") { text, key in
      if let index = key.intValue { return "\(text)[\(index)]" }
      return text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)"
    }
  }

  private static func words(_ type: any Any.Type) -> String {
    switch type {
    case is Double.Type: "a number"
    case is Int.Type: "a whole number"
    case is String.Type: "a text"
    case is [Any].Type: "a list"
    default: "an object"
    }
  }
}

extension Reference {
  /// The most elements that a tensor of a file may have; more would exhaust the memory before anything is compared.
  private static let elementLimit = 1 << 31

  private func validate(_ path: String) throws(ReferenceError) {
    func fail(_ key: String, _ problem: String) -> ReferenceError {
      ReferenceError(path: path, key: key, problem: problem, remedy: "correct the file")
    }
    func check(_ shape: [Int], _ key: String) throws(ReferenceError) {
      var count = 1
      for size in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: size)
        if size < 1 || overflow || product > Self.elementLimit {
          throw fail(key, "expected positive sizes of at most \(Self.elementLimit) elements, got \(shape)")
        }
        count = product
      }
    }
    func check(_ entries: [Entry], _ key: String) throws(ReferenceError) {
      var seen: Set<String> = []
      for (index, entry) in entries.enumerated() {
        try check(entry.shape, "\(key)[\(index)].shape")
        if (entry.lo == nil) != (entry.hi == nil) {
          throw fail("\(key)[\(index)]", "expected both of `lo` and `hi`, or neither")
        }
        if !seen.insert(entry.key).inserted {
          throw fail("\(key)[\(index)].key", "`\(entry.key)` stands there twice")
        }
      }
    }
    func check(_ stages: [Sampled], errors: [Double], _ key: String) throws(ReferenceError) {
      if stages.count != errors.count {
        throw fail(
          "\(key).float32_reference_error.stages", "expected \(stages.count) numbers, got \(errors.count)")
      }
      for (index, stage) in stages.enumerated() {
        try check(stage.shape, "\(key).stages[\(index)].shape")
        if !(stage.absmax > 0 && stage.std > 0) {
          throw fail("\(key).stages[\(index)]", "expected positive `absmax` and `std`")
        }
        let samples = Swift.min(32, stage.shape.reduce(1, *))
        if stage.first32.count != samples || stage.strided32.count != 32 {
          throw fail(
            "\(key).stages[\(index)]", "expected \(samples) numbers in `first32` and 32 in `strided32`")
        }
      }
    }
    try check(state, "state")
    if let flops {
      try check(flops.input, "flops.input")
      if flops.input.count != 4 { throw fail("flops.input", "expected four sizes, got \(flops.input)") }
    }
    var ids: Set<String> = []
    for (index, item) in cases.enumerated() {
      let key = "cases[\(index)]"
      if !ids.insert(item.id).inserted { throw fail("\(key).id", "`\(item.id)` stands there twice") }
      try check(item.input.shape, "\(key).input_shape")
      if item.input.shape.count != 4 {
        throw fail("\(key).input_shape", "expected four sizes [B, 3, H, W], got \(item.input.shape)")
      }
      switch item.content {
      case .forward(let forward):
        try check(forward.stages, errors: forward.float32Error.stages, key)
        if forward.logits.isEmpty { throw fail("\(key).logits", "expected numbers, got none") }
      case .gradient(let gradient):
        if gradient.parameters.allSatisfy({ ($0.norm ?? 0) == 0 }) {
          throw fail("\(key).params", "expected norms, got none above zero")
        }
      case .train(let train):
        try check(train.overrides, "\(key).state_overrides")
        if train.losses.isEmpty || train.losses.count != train.float32Losses.count {
          throw fail("\(key).losses_float32_reference", "expected \(train.losses.count) losses, at least one")
        }
        if train.optimizer.betas.count != 2 { throw fail("\(key).optimizer.betas", "expected two numbers") }
        let isLabelled =
          train.labels.count == item.input.shape[0]
          && train.labels.allSatisfy { (0..<train.classes).contains($0) }
        if !isLabelled {
          throw fail(
            "\(key).labels", "expected \(item.input.shape[0]) labels below `num_classes`, \(train.classes)")
        }
      case .features(let features):
        try check(features.extraState, "\(key).extra_state")
        try check(features.stages, errors: features.float32Error.stages, key)
      }
    }
  }
}
