import Backbones
import Data
import Foundation
import Layers
import Testing
import Torch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Whatever is wrong with what people give, the tool says so in one sentence and leaves nothing behind.
@Suite(.timeLimit(.minutes(15))) struct BadInputTests {
  struct Row: CustomTestStringConvertible, Sendable {
    let line: String
    let words: [String]
    init(_ line: String, _ words: String...) { (self.line, self.words) = (line, words) }
    var testDescription: String { line }
  }

  /// `$R` stands for a model to run, `$V` for a reference, `$T` for a short training run into the folder `out`.
  static let models = [
    Row(
      "predict good.png",
      "give either --checkpoint, or --model with --weights or --random-weights or --pretrained"),
    Row("predict --model sparx_mamba_micro good.png", "add --weights FILE or --random-weights"),
    Row(
      "predict --model vgg16 --random-weights good.png", "--model must be one of sparx_mamba_t", "vgg16"
    ),
    Row("predict $R --checkpoint run/best.safetensors good.png", "give either --checkpoint"),
    Row(
      "predict --checkpoint none.safetensors good.png", "none.safetensors: cannot be opened", "check the path"
    ),
    Row("predict --checkpoint hollow good.png", "hollow: is not a regular file", "give the path of a file"),
    Row("predict --checkpoint text.safetensors good.png", "text.safetensors: its header claims"),
    Row("predict --checkpoint empty.safetensors good.png", "8 bytes of header length, and this one has 0"),
    Row(
      "predict --checkpoint half.safetensors good.png", "half.safetensors: ",
      "download or export the file again"),
    Row("predict --checkpoint weights.safetensors good.png", "is not a checkpoint of `ganglion train`"),
    Row("predict --checkpoint future.safetensors good.png", "future.safetensors: ", "ganglion.checkpoint.1"),
    Row("predict --checkpoint pipe good.png", "pipe: is not a regular file"),
    Row("predict --checkpoint loop good.png", "loop: cannot be opened (Too many levels of symbolic links)"),
    Row("predict --checkpoint good.png good.png", "good.png: its header claims"),
    Row(
      "predict --checkpoint run/best.safetensors --classes two.txt good.png",
      "--classes is for --model; a checkpoint has class names of its own"),
    Row(
      "predict --model sparx_mamba_t --weights weights.safetensors good.png",
      "weights.safetensors: does not fit the model", "tensors missing, such as layers.",
      "choose the model that it was saved from"),
    Row(
      "predict --model sparx_mamba_micro --weights none.safetensors good.png",
      "none.safetensors: cannot be opened"),
    Row(
      "predict --model sparx_mamba_micro --weights weights.safetensors --classes two.txt good.png",
      "the weights are for 1000 classes, and two.txt names 2", "with --classes, one a line"),
    Row(
      "predict --model sparx_mamba_micro --weights ten.safetensors good.png",
      "the weights are for 10 classes, and ImageNet-1K has 1000", "with --classes"),
    Row(
      "predict $R --classes nothing.txt good.png", "nothing.txt: holds no class names",
      "write one name a line"),
    Row("predict $R --classes gap.txt good.png", "gap.txt: line 2 is empty"),
    Row("predict $R --classes latin1.txt good.png", "latin1.txt: is not text in UTF-8"),
    Row("predict $R --classes /dev/zero good.png", "/dev/zero: is not a regular file"),
    Row("predict $R --classes absent.txt good.png", "absent.txt: cannot be read"),
  ]

  static let pictures = [
    Row("predict $R none.png", "none.png: cannot be read (no such file or directory); check the path"),
    Row("predict $R half.jpg", "half.jpg: not a whole JPEG picture", "fetch or export the file again"),
    Row(
      "predict $R huge.png", "huge.png: 100000x100000 pixels are more than the limit",
      "store a smaller version"),
    Row("predict $R text.jpg", "text.jpg: expected a JPEG or PNG picture, got other content"),
    Row("predict $R zero.png", "zero.png: expected a JPEG or PNG picture"),
    Row("predict $R narrow.png", "one side of 1x2000 pixels is more than 1000 times the other", "crop"),
    Row("predict $R hollow", "hollow: expected pictures in the folder, got none"),
    Row("predict $R '*.gif'", "*.gif: no file matches the pattern"),
    Row("predict $R 'no[a-z]e/**/*.png'", "no[a-z]e/**/*.png: no file matches the pattern"),
    Row("predict $R pipe", "pipe: cannot be read (not a regular file)"),
    Row("predict $R loop", "loop: cannot be read (too many levels of symbolic links)"),
    Row("predict $R /dev/zero", "/dev/zero: cannot be read (not a regular file)"),
    Row("predict $R $'latin/caf\\xe9.png'", "latin/caf\u{FFFD}.png: cannot be read"),
    Row("predict $R latin", "latin/caf\u{FFFD}.png: the name is not UTF-8; rename the file"),
    Row("predict $R ''", "the name of a picture is empty"),
    Row("predict $R", "give pictures or folders, or --from-list"),
    Row("predict $R --from-list absent.txt", "absent.txt: cannot be read"),
    Row("predict $R --from-list nothing.txt", "nothing.txt: names no pictures"),
    Row("predict $R --from-list hollow", "hollow: is not a regular file"),
    Row("predict $R --from-list - </dev/null", "standard input: names no pictures"),
    Row("predict $R --null good.png", "--null is for --from-list"),
    Row("predict $R - </dev/null", "-: expected a JPEG or PNG picture"),
    Row("predict $R - -", "standard input can be read once only"),
    Row("predict $R - --from-list -", "standard input can be read once only"),
    Row("predict $R - <&-", "standard input: cannot be read"),
    Row("predict $R --top-k 0 good.png", "--top-k must be at least 1, got 0"),
    Row("predict $R --top-k x good.png", "'x' is invalid for '--top-k <count>'"),
    Row("predict $R --batch-size 0 good.png", "--batch-size must be from 1 to 4096, got 0"),
    Row("predict $R --batch-size 1000000000 good.png", "--batch-size must be from 1 to 4096, got 1000000000"),
    Row("predict $R --workers 0 good.png", "--workers must be from 1 to 256, got 0"),
    Row("predict $R --threads 0 good.png", "--threads must be from 1 to 1024, got 0"),
    Row(
      "predict $R --annotate classes good.png", "classes: expected a new or empty folder", "choose another"),
    Row("predict $R --annotate good.png/out good.png", "good.png/out: the folder cannot be made"),
    Row(
      "ulimit -f 1; ganglion predict $R --annotate out good.png",
      "out/good.png: cannot be written (file too large)"),
    Row("predict $R good.png >/dev/full", "standard output: cannot be written (No space left on device)"),
    Row("predict $R good.png >&-", "standard output: cannot be written (Bad file descriptor)"),
  ]

  static let others = [
    Row("evaluate", "give either --checkpoint"),
    Row("evaluate $R", "give --data"),
    Row("evaluate $R --data absent", "absent: there is no such folder"),
    Row("evaluate $R --data good.png", "good.png: there is no such folder"),
    Row("evaluate $R --data hollow", "hollow: expected one sub-folder per class, got none"),
    Row("evaluate $R --data bare", "bare/cat: the class has no pictures"),
    Row("evaluate $R --data classes", "classes: has other classes than the model", "bright, dark"),
    Row("evaluate $R --data broken", "broken/n01440764/a.png: expected a JPEG or PNG picture"),
    Row("evaluate $R --data synsets --workers 0", "--workers must be"),
    Row("evaluate $R --data synsets >/dev/full", "standard output: cannot be written"),
    Row(
      "evaluate --checkpoint run/best.safetensors --data synsets",
      "has other classes than the model (missing: bright"),
    Row("evaluate --checkpoint text.safetensors", "text.safetensors: its header claims"),
    Row("inspect", "Missing expected argument '<model or file>'"),
    Row("inspect vgg16", "'vgg16' is neither a file nor a model; the models are sparx_mamba_t"),
    Row(
      "inspect text.safetensors",
      "text.safetensors: is neither a safetensors file nor one written by torch.save"),
    Row("inspect half.safetensors", "half.safetensors: "),
    Row("inspect hollow", "hollow: is not a regular file"),
    Row("inspect pipe", "pipe: is not a regular file"),
    Row("inspect sparx_mamba_t --size 8", "--size expects height and width from 32 to 65536", "got '8'"),
    Row("inspect sparx_mamba_t --size 64x99999999999999999999", "--size expects height and width"),
    Row("inspect weights.safetensors --size 64x64", "--size is for models"),
    Row("inspect sparx_mamba_micro >/dev/full", "standard output: cannot be written"),
    Row("models 'vgg*'", "no model is called 'vgg*'; there are sparx_mamba_t"),
    Row("models '*_t' 'vgg*'", "no model is called 'vgg*'"),
    Row("models --sort size", "'size' is invalid for '--sort <column>'", "'top1'"),
    Row("models >/dev/full", "standard output: cannot be written (No space left on device)"),
    Row("models --json >&-", "standard output: cannot be written (Bad file descriptor)"),
    Row("verify", "Missing expected argument '<files> ...'"),
    Row("verify nowhere.json", "nowhere.json: does not exist; give the path of a reference file"),
    Row("verify hollow", "hollow: holds no JSON files"),
    Row("verify text.jpg", "text.jpg: is not JSON, or ends too early"),
    Row("verify pipe", "pipe: is not a regular file"),
    Row("verify $V --device gpu", "'gpu' is invalid for '--device <name>'"),
    Row("verify $V --device cuda:-1", "'cuda:-1' is invalid for '--device <name>'"),
    Row("verify $V --device cuda:99", "--device cuda:99: "),
    Row("verify $V --dtype float16 --prepared", "--dtype float16 takes no --case, --weights or --prepared"),
    Row("verify $V --dtype float16 --images 0", "--images must be from 1 to 100000, got 0"),
    Row("verify --kernels $V", "--kernels takes no files"),
    Row("verify --kernels --case none", "no kernel has a case like none"),
    Row("predict $R --device cuda:99 good.png", "--device cuda:99: "),
    Row("predict $R --precision int8 good.png", "'int8' is invalid for '--precision <type>'"),
    Row("evaluate $R --data run --device cuda:99", "--device cuda:99: "),
    Row("verify $V --dtype int8", "'int8' is invalid for '--dtype <type>'"),
    Row("verify $V --case eval_9", "no file has a case `eval_9`; there are"),
    Row("doctor --foo", "Unknown option '--foo'"),
    Row("doctor extra", "Unexpected argument 'extra'"),
    Row("doctor >/dev/full", "standard output: cannot be written"),
    Row("fly", "Unexpected argument 'fly'"),
    Row("predict --help >/dev/full", "standard output: cannot be written"),
    Row("train --recipe absent.yaml --output out", "absent.yaml: cannot be read"),
    Row("train --recipe hollow --output out", "hollow: cannot be read"),
    Row("train --recipe pipe --output out", "pipe: cannot be read"),
    Row("train --recipe broken.yaml --output out", "broken.yaml: is not YAML"),
    Row("train --recipe unknown.yaml --output out", "`epoch` is not a known key"),
    Row("train --recipe recipe.yaml --batch-size 1000000000 --output out", "`batch_size` must be from 1"),
    Row("train --recipe recipe.yaml --epochs 0 --output out", "`epochs` must be from 1"),
    Row("train --recipe recipe.yaml --output good.png", "good.png: cannot be made"),
    Row("train --recipe recipe.yaml --output run", "run: expected a new or empty folder"),
    Row("train --resume --output hollow", "no last.safetensors to resume from"),
  ]

  @Test(arguments: models + pictures + others) func isOneSentence(_ row: Row) throws {
    let place = try BadInputPlace.shared.get()
    let before = try place.names()
    let own = place.root.appending(path: "own-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: own, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: own) }
    let line = (row.line.hasPrefix("ulimit") ? row.line : "ganglion " + row.line)
      .replacing(" out", with: " \(own.lastPathComponent)/out")
    let result = try Shell.run(
      "R='--model sparx_mamba_micro --random-weights'; V='\(place.reference)'; \(line)", in: place.root)
    #expect(result.status != 0 && result.status < 128, "\(result.status): \(result.errors)")
    #expect(result.complaints.count == 1, "\(result.errors)")
    let sentence = result.complaints.first.map(String.init) ?? ""
    for words in row.words { #expect(sentence.contains(words), "\(result.errors)") }
    #expect(result.output.isEmpty)
    #expect(try files(below: own).isEmpty)
    #expect(try place.names() == before)
  }

  /// A disk that is full in the middle of a run leaves what was whole before, and no half of a file.
  @Test func aFullDiskWhileTraining() throws {
    let place = try BadInputPlace.shared.get()
    let own = place.root.appending(path: "own-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: own) }
    let result = try Shell.run(
      "ulimit -f 24; ganglion train --threads 1 --recipe recipe.yaml --output \(own.lastPathComponent)",
      in: place.root)
    #expect(result.status == 1, "\(result.errors)")
    #expect(
      result.errors.contains(
        "last.safetensors: cannot be written (File too large); free some space or write elsewhere"))
    let left = try files(below: own)
    #expect(!left.contains { $0.contains("safetensors") || $0.hasSuffix(".tmp") }, "\(left)")
  }

  private func files(below folder: URL) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { name in
      var isFolder: ObjCBool = false
      let path = folder.appending(path: name).path
      return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
    }
  }
}

/// A folder of everything that can be wrong, made once.
private struct BadInputPlace {
  let root: URL
  let reference: String

  static let shared = Result { try BadInputPlace() }

  /// What is there but the folders of single rows.
  func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root.path).filter { !$0.hasPrefix("own-") }.sorted()
  }

  private init() throws {
    let toy = try ToyProject()
    root = toy.root
    removedAtExit = root.path
    atexit { try? FileManager.default.removeItem(atPath: removedAtExit) }
    reference =
      URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Fixtures/models/sparx_mamba_t.json").standardizedFileURL.path
    let training = try Shell.run(
      "ganglion train --threads 1 --epochs 1 --recipe recipe.yaml --output run", in: root)
    #expect(training.status == 0, "\(training.errors)")
    try makeWeights()
    try makePictures()
    try makeFolders()
    for (name, text) in [
      ("two.txt", "cat\ndog\n"), ("nothing.txt", ""), ("gap.txt", "cat\n\ndog\n"), ("text.jpg", "no picture"),
      ("text.safetensors", "This is a text and no safetensors file.\n"), ("empty.safetensors", ""),
      ("zero.png", ""), ("broken.yaml", "epochs: [1\n"), ("unknown.yaml", "epoch: 3\n"),
    ] {
      try toy.write(text, to: name)
    }
    try write([0x63, 0x61, 0x66, 0xE9, 0x0A], "latin1.txt")
    mkfifo(path("pipe"), 0o600)
    symlink("loop", path("loop"))
  }

  private func makeWeights() throws {
    for (name, classes) in [("weights", 1000), ("ten", 10)] {
      let model = Architecture.sparxMambaMicro.makeModel(head: .classifier(classes: classes))
      try SafeTensors.write(
        model.store.entries.map { ($0.key, $0.tensor) }, to: root.appending(path: "\(name).safetensors"))
    }
    let whole = Array(try Foundation.Data(contentsOf: root.appending(path: "run/best.safetensors")))
    try write(Array(whole.prefix(whole.count / 2)), "half.safetensors")
    let version = Array("ganglion.checkpoint.".utf8)
    let place = try #require(whole.firstRange(of: version)).upperBound
    var future = whole
    future[place] = UInt8(ascii: "2")
    try write(future, "future.safetensors")
  }

  private func makePictures() throws {
    let picture = Image(height: 40, width: 50, red: 90, green: 120, blue: 30)
    try picture.writePNG(to: root.appending(path: "good.png"))
    let noise = Image(
      height: 64, width: 64, pixels: (0..<(64 * 64 * 3)).map { UInt8(truncatingIfNeeded: $0 * $0 / 7) })
    let jpeg = try noise.jpegBytes()
    try write(Array(jpeg.prefix(jpeg.count / 2)), "half.jpg")
    try Image(height: 1, width: 2000).writePNG(to: root.appending(path: "narrow.png"))
    var huge = try picture.pngBytes()
    // The header's chunk is at a fixed place: length, `IHDR`, width, height, five bytes, checksum.
    for offset in [16, 20] { huge.replaceSubrange(offset..<offset + 4, with: [0x00, 0x01, 0x86, 0xA0]) }
    huge.replaceSubrange(29..<33, with: checksum(huge[12..<29]))
    try write(huge, "huge.png")
  }

  private func makeFolders() throws {
    for name in ["hollow", "bare/cat", "latin"] {
      try FileManager.default.createDirectory(
        at: root.appending(path: name), withIntermediateDirectories: true)
    }
    for name in ["classes/bright", "classes/dark", "synsets/n01440764", "synsets/n02099601"] {
      let folder = root.appending(path: name)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try Image(height: 40, width: 50).writePNG(to: folder.appending(path: "a.png"))
    }
    try FileManager.default.createDirectory(
      at: root.appending(path: "broken/n01440764"), withIntermediateDirectories: true)
    try write([1, 2, 3], "broken/n01440764/a.png")
    let name = Array((path("latin") + "/caf").utf8) + [0xE9] + Array(".png".utf8) + [0]
    close(open(name.map { CChar(bitPattern: $0) }, O_CREAT | O_WRONLY, 0o600))
  }

  private func path(_ name: String) -> String { root.appending(path: name).path }

  private func write(_ bytes: [UInt8], _ name: String) throws {
    try Foundation.Data(bytes).write(to: root.appending(path: name))
  }

  /// PNG's checksum (ISO 3309) of a chunk's name and content, as it is stored.
  private func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var value: UInt32 = .max
    for byte in bytes {
      value ^= UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }
    value = ~value
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}

/// Written once, before the handler that reads it is set.
private nonisolated(unsafe) var removedAtExit = ""
